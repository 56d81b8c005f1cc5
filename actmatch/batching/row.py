"""A row for each photograph: every figure of its score card and its mask, or why it failed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from .rle import decoded, encoded
from .source import Item

if TYPE_CHECKING:
    import pyarrow

    from ..results.explanation import Explanation

# Columns of figures that are plain values, in the order of the file.
PLAIN = dict(
    target="int32", label="string", sentence="string", promise_kept="bool",
    probability="double", explanation_probability="double", complement_probability="double",
    area="double", components="int32", largest_component="double", core_area="double",
    label_kept="bool", confidence_ratio="double", necessary="bool", leftover="double",
    leftover_entropy="double", leftover_entropy_share="double", gain="double",
    randomized_gain="double", pooled_rate="double", pooled_low="double", pooled_high="double",
    seconds="double", passes="double", steps="int32", seed="int64", device="string",
    threads="int32", processor="string", classifier="string", weights_sha256="string",
    pixels_sha256="string", mask_sha256="string", note="string",
)  # fmt: skip
# Columns of lists and records that are as in report.json.
COPIED = ("top5", "layers", "checks", "irreducible", "deletion", "insertion", "layer_weights")


def schema() -> pyarrow.Schema:
    """The columns of every part; docs/batch.md says what each means."""
    import pyarrow as pa

    def record(**kinds: Any) -> Any:
        return pa.struct(list(kinds.items()))

    text, number, whole, yes = pa.string(), pa.float64(), pa.int32(), pa.bool_()
    prediction = record(name=text, probability=number)
    curve = record(area=number, shares=pa.list_(number), probabilities=pa.list_(number))
    cosines = ("cosine", "relative_l2", "random_cosine", "random_relative_l2", "kept_cosine",
               "random_kept_cosine")  # fmt: skip
    answer = record(label=text, probability=number, target_probability=number)
    point = dict.fromkeys(
        ("area", "confidence_ratio", "keep_rate", "low", "high", "match"), number
    ) | {"label_kept": yes}
    weights = record(shares=pa.list_(number), explained=number)
    nested = {
        "top5": record(
            **dict.fromkeys(("photograph", "explanation", "complement"), pa.list_(prediction))
        ),
        "layers": pa.list_(record(name=text, **dict.fromkeys(cosines, number))),
        "keep_rate": pa.list_(
            record(kind=text, kept=whole, trials=whole, low=number, high=number, promised=yes)
        ),
        "deletion": curve,
        "insertion": curve,
        "checks": pa.list_(
            record(name=text, light=text, figure=number, reason=text, setting=text, direction=text)
        ),
        "layer_weights": record(label=weights, distribution=weights),
        "tokens": record(patches=whole, kept=whole, explanation=answer, complement=answer),
        "irreducible": record(tested=whole, necessary=whole),
        "frontier": pa.list_(record(**point)),
        "mask": record(size=pa.list_(whole), counts=text),
        "versions": pa.list_(record(name=text, version=text)),
    }
    given = dict.fromkeys(("key", "path"), text) | dict(offset=pa.int64(), length=pa.int64())
    given |= dict.fromkeys(("sha256", "asked", "failed", "mask_png"), text)
    plain = {name: pa.type_for_alias(kind) for name, kind in PLAIN.items()}
    return pa.schema(list((given | plain | nested).items()))


def row_of(item: Item, sha256: str, found: Explanation) -> dict[str, Any]:
    """The row of an explanation, in plain values; what it has no figure for is left out."""
    report = found.report()
    pooled, record = report["pooled_keep_rate"], report["replay"]
    reported = report["reported"]
    flat = dict(
        pooled_rate=pooled["rate"], pooled_low=pooled["low"], pooled_high=pooled["high"],
        steps=record["steps"], threads=record["threads"], processor=record["processor"],
        pixels_sha256=record["pixels_sha256"], mask_sha256=record["mask_sha256"],
    )  # fmt: skip
    nested = dict(
        keep_rate=[
            {"kind": kind, **rate, "promised": kind not in reported}
            for kind, rate in report["keep_rate"].items()
        ],
        tokens=found.card.tokens and asdict(found.card.tokens),
        frontier=[point._asdict() for point in found.frontier.points],
        mask=dict(size=list(found.mask.shape), counts=encoded(found.mask.numpy() > 0.5)),
        versions=_versions(found.versions),
    )
    names = (*PLAIN, *COPIED)
    same = {name: report[name] for name in names if name in report}
    return _given(item, sha256) | same | flat | nested


def failed_row(item: Item, reason: str, sha256: str | None, seconds: float) -> dict[str, Any]:
    """The row of a photograph that could not be explained."""
    from ..results.result import library_versions

    versions = _versions(library_versions())
    return _given(item, sha256) | dict(failed=reason, seconds=seconds, versions=versions)


def _given(item: Item, sha256: str | None) -> dict[str, Any]:
    start, length = item.span or (None, None)
    return dict(
        key=item.key, path=item.place, offset=start, length=length, sha256=sha256,
        asked=item.target,
    )  # fmt: skip


def _versions(versions: Mapping[str, str]) -> list[dict[str, str]]:
    """As a list: not every reader of Parquet knows maps."""
    return [dict(name=name, version=version) for name, version in versions.items()]


def mask_of(row: Mapping[str, Any]) -> np.ndarray:
    """H x W bool mask of a row that did not fail."""
    height, width = row["mask"]["size"]
    return decoded(row["mask"]["counts"], height, width)
