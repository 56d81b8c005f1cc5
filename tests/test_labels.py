"""The names of classes: synonyms, ids, and names that several classes share."""

from __future__ import annotations

import pytest

from actmatch.classifiers.labels import Labels, imagenet_labels, numbered_labels, unique, yes_or_no


@pytest.fixture(scope="module")
def imagenet():
    return imagenet_labels(1000)


@pytest.mark.parametrize(
    "target, index",
    [
        ("lion", 291),
        ("n02129165", 291),
        ("king of beasts", 291),
        ("Panthera  Leo", 291),
        ("lion, king of beasts, Panthera leo", 291),
        ("N02129165", 291),
        ("291", 291),
        ("hyaena", 276),
        ("crane (2)", 517),
        ("n03126707", 517),
        ("tank suit", 639),
    ],
)
def test_a_class_of_imagenet_is_found_by_any_of_its_names(imagenet, target, index):
    assert imagenet.index(target, "it") == index


@pytest.mark.parametrize(
    "target, told",
    [
        ("crane", ("crane (1) (large long-necked wading bird", "crane (2) (lifts and moves heavy")),
        ("maillot", ("maillot (1) (tights for dancers", "maillot (2) (a woman's one-piece")),
    ],
)
def test_a_name_of_two_classes_asks_which(imagenet, target, told):
    with pytest.raises(ValueError, match=f"it has 2 classes called '{target}'") as error:
        imagenet.index(target, "it")
    assert all(words in str(error.value) for words in told)
    assert "\n" not in str(error.value)


def test_every_name_of_imagenet_finds_its_own_class(imagenet):
    assert [imagenet.index(name, "it") for name in imagenet.names] == list(range(1000))


def test_no_part_of_imagenet_has_seven_classes():
    assert imagenet_labels(7) is None


def test_a_name_given_twice_asks_which():
    labels = Labels(["eel", "crane", "crane"])
    assert labels.index("crane (1)", "it") == 1
    with pytest.raises(ValueError, match=r"2 classes called 'crane'.*: crane \(1\); crane \(2\)"):
        labels.index("crane", "it")


def test_a_class_named_by_a_number_comes_before_the_index():
    assert Labels(["1", "0"]).index("1", "it") == 0


@pytest.mark.parametrize(
    "names, expected",
    [
        (["a", "b"], ["a", "b"]),
        (["a", "b", "a"], ["a (1)", "b", "a (2)"]),
        (["a", "a", "a (2)"], ["a (1)", "a (3)", "a (2)"]),
        (["a (1)", "a", "a"], ["a (1)", "a (2)", "a (3)"]),
    ],
)
def test_names_that_are_the_same_are_numbered(names, expected):
    assert unique(names) == expected


def test_names_that_were_not_given_say_where_they_come_from():
    assert Labels(["no", "class 0"]).guess == ""
    assert imagenet_labels(1000).guess.startswith("The class names are ImageNet's")
    assert numbered_labels(7).guess.startswith("The 7 classes have numbers")
    assert yes_or_no(None).guess.startswith("The single output is taken as a yes")
    assert yes_or_no(["no"]).guess == ""
