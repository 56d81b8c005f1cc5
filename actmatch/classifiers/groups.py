"""A group of classes as the target, such as "hyena or lion" if a classifier is unsure which.

A group is a classifier that shares the model of another one. It has the logits of the other one,
except that those of the group's classes are merged into one,

    z = log sum_i exp z_i,

so that the probability of the group is the sum of theirs. The group takes the place of the first of
its classes in the classifier's order; all other classes keep their names and their order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeGuard

import torch
from torch import Tensor

from .classifier import Classifier
from .derived import Derived

GROUP = "|"  # between the classes of a group


class Group(Derived):
    """A classifier with some of its classes merged into one; made by `group`.

    Attributes:
        members: indices of these classes in the original classifier, ascending; the group itself
            has the index of the first.
        spelled: the normalized class names in the text that defined the group.
    """

    def __init__(self, base: Classifier, members: Sequence[int], text: str) -> None:
        first, *others = sorted(members)
        names = list(base.class_names)
        names[first] = _in_words([names[member] for member in members])
        super().__init__(base, [name for i, name in enumerate(names) if i not in others])
        self.members, self.spelled = (first, *others), _spelled(text)

    def head(self, final: Tensor) -> Tensor:
        """N x (K - members + 1) logits of the final features."""
        logits = self.base.head(final).float()
        first, *others = self.members
        merged = torch.stack([logits[:, member] for member in self.members], dim=1)
        between = zip(self.members, (*others, logits.shape[1]), strict=True)
        rest = [logits[:, member + 1 : end] for member, end in between]
        return torch.cat((logits[:, :first], merged.logsumexp(1, keepdim=True), *rest), dim=1)

    def class_index(self, target: int | str) -> int:
        """As for any classifier; the text that defined the group is accepted as well."""
        if isinstance(target, str) and _spelled(target) == self.spelled:
            return self.members[0]
        return super().class_index(target)


def group(classifier: Classifier, names: str | Sequence[int | str]) -> Group:
    """A classifier with several classes merged into one, named such as "hyena or lion".

    Args:
        names: two or more classes, each by name or index, or a text of them separated by |.

    Raises:
        ValueError: a class is unknown, given twice or left blank, there are fewer than two classes
            or all of them, or the classifier is itself a view or a group.
    """
    names = names.split(GROUP) if isinstance(names, str) else [*names]
    text = GROUP.join(map(str, names))
    if classifier.derived:
        raise ValueError(
            f"The group {text} must be asked of a classifier itself, not of a contrast, a "
            "similarity or another group."
        )
    return Group(classifier, _members(classifier, names, text), text)


def grouped(classifier: Classifier, target: int | str | None) -> Classifier:
    """The classifier itself, or a group if a target names several classes.

    Raises:
        ValueError: as for `group`.
    """
    if not names_group(target, classifier.class_names):
        return classifier
    if isinstance(classifier, Group) and _spelled(target) == classifier.spelled:
        return classifier
    return group(classifier, target)


def names_group(target: Any, class_names: Sequence[str]) -> TypeGuard[str]:
    """Whether a target names several classes: it contains a | and is not itself a class name."""
    if not isinstance(target, str) or GROUP not in target:
        return False
    return target.strip().casefold() not in {name.casefold() for name in class_names}


def refuse_group(classifier: Classifier, target: int | str | None) -> None:
    """Raise a ValueError if a target names several classes, where a single one is needed."""
    if names_group(target, classifier.class_names):
        raise ValueError(f"A contrast is between two single classes; got the group {target!r}.")


def _members(classifier: Classifier, names: Sequence[int | str], text: str) -> list[int]:
    """The index of each class, in the order given."""
    if len(names) < 2 or not all(str(name).strip() for name in names):
        raise ValueError(
            f"A group is two or more classes with {GROUP} between them, each by name or index, "
            f"and none left blank; got {text!r}."
        )
    members: list[int] = []
    for name in names:
        index = classifier.class_index(name)
        if index in members:
            raise ValueError(
                f"A group has each class once; {classifier.class_names[index]} is twice in {text}."
            )
        members.append(index)
    count = len(classifier.class_names)
    if len(members) == count:
        raise ValueError(
            f"A group of all {count} classes of {classifier.name} would be the answer to "
            "everything; leave out at least one."
        )
    return members


def _spelled(text: str) -> tuple[str, ...]:
    return tuple(name.strip().casefold() for name in text.split(GROUP))


def _in_words(names: Sequence[str]) -> str:
    """Such as "hyena or lion", or "hyena, lion or tiger"."""
    return f"{', '.join(names[:-1])} or {names[-1]}"
