"""The names of a classifier's classes, and what else they are called."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, count
from typing import Any

CLOSE = 3  # names that are suggested in place of an unknown one


class Labels:
    """The classes of a classifier by name.

    Attributes:
        names: one unique name per class.
        told: per class, what tells it from others of the same name; may be empty.
        aliases: indices of the classes that another name stands for; casefolded.
        guess: a sentence on where the names come from if none were given; "" if they were.
    """

    def __init__(
        self,
        names: Sequence[str],
        told: Sequence[str] = (),
        aliases: Mapping[str, Sequence[int]] | None = None,
        guess: str = "",
    ) -> None:
        self.names, self.told, self.guess = tuple(unique(names)), tuple(told), guess
        self.aliases: dict[str, list[int]] = {}
        for index, name in enumerate(names):
            self.aliases.setdefault(name.casefold(), []).append(index)
        for alias, indices in (aliases or {}).items():
            known = self.aliases.setdefault(alias.casefold(), [])
            known += [index for index in indices if index not in known]

    def index(self, target: int | str, whose: str) -> int:
        """Index of a class by index, by name, or by anything else it alone is called.

        Exact names come before indices, and these before other capitalizations.

        Args:
            whose: name of the classifier, for messages.

        Raises:
            ValueError: there is no such class, or there are several; the message says what is
                accepted, and which names are close.
        """
        count = len(self.names)
        if isinstance(target, str) and target in self.names:
            return self.names.index(target)
        if isinstance(target, str) and not target.strip().isdigit():
            return self._named(target, whose)
        try:
            index = int(target)
        except (TypeError, ValueError):
            index = -1
        if isinstance(target, (bool, float)) or not 0 <= index < count:
            raise ValueError(f"target must be a class name or 0 to {count - 1}; got {target!r}.")
        return index

    def _named(self, target: str, whose: str) -> int:
        """Index of the class of a name that is not exactly one of `names`."""
        wanted = " ".join(target.split()).casefold()
        folded = [name.casefold() for name in self.names]
        if wanted in folded:
            return folded.index(wanted)
        found = self.aliases.get(wanted, [])
        if len(found) == 1:
            return found[0]
        if found:
            meant = "; ".join(self._described(index) for index in found)
            raise ValueError(
                f"{whose} has {len(found)} classes called {target!r}; name one of them: {meant}."
            )
        raise ValueError(
            f"{whose} has no class named {target!r}; give one of its {len(self.names)} class names "
            f"or an index from 0 to {len(self.names) - 1}.{close_to(wanted, folded)}"
        )

    def _described(self, index: int) -> str:
        told = self.told[index] if self.told else ""
        return f"{self.names[index]}{f' ({told})' if told else ''}"


def imagenet_labels(classes: int) -> Labels | None:
    """The labels of the part of ImageNet with this number of classes; None if there is none.

    A class is called by the first of its names, and has the others, all of them together, and its
    id (such as n02129165) as aliases.
    """
    from timm.data import ImageNetInfo, infer_imagenet_subset

    subset = infer_imagenet_subset(dict(num_classes=classes, architecture=""))
    if subset is None:
        return None
    info: Any = ImageNetInfo(subset)
    places = range(info.num_classes())
    lists = [info.index_to_description(place) for place in places]
    aliases: dict[str, list[int]] = {}
    for place, listed in enumerate(lists):
        parts = [part.strip() for part in listed.split(",")]
        for alias in dict.fromkeys((*parts, listed, info.index_to_label_name(place))):
            aliases.setdefault(alias, []).append(place)
    told = [
        info.index_to_description(place, detailed=True).removeprefix(f"{lists[place]}: ")
        for place in places
    ]
    guess = f"The class names are ImageNet's, since there are {classes} classes."
    return Labels([listed.split(",")[0] for listed in lists], told, aliases, guess)


def numbered_labels(classes: int) -> Labels:
    """Labels that are numbers, for classes without names."""
    guess = f"The {classes} classes have numbers, since no names are given."
    return Labels([f"class {index}" for index in range(classes)], guess=guess)


def yes_or_no(given: Sequence[str] | None) -> Labels:
    """The labels of a single output: no and yes, or not X and X, or both as given."""
    if not given:
        guess = "The single output is taken as a yes, since no names are given."
        return Labels(("no", "yes"), guess=guess)
    return Labels(given if len(given) != 1 else (f"not {given[0]}", *given))


def close_to(wanted: str, known: Iterable[str]) -> str:
    """The end of a refusal that says which known names are most like one; "" if none are."""
    close = difflib.get_close_matches(wanted, list(known), n=CLOSE)
    return f" Close: {', '.join(close)}." if close else ""


def unique(names: Sequence[str]) -> list[str]:
    """The names, with a number after each of those that are the same (ImageNet has two cranes)."""
    times = Counter(names)
    found: dict[str, None] = {}
    for name in names:
        numbered = (f"{name} ({number})" for number in count(1))
        options = chain((name,) if times[name] == 1 else (), numbered)
        free = (o for o in options if o not in found and (o == name or o not in times))
        found[next(free)] = None
    return list(found)
