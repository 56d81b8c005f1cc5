"""Plain vision transformers without the tokens of removed patches.

Whatever is painted over removed pixels is seen, too. A transformer can leave them out instead: it
reads a set of tokens, and those of removed patches are dropped before the first layer ("Missingness
Bias in Model Debugging", arXiv 2204.08945). timm's networks have a place for that, `patch_drop`.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .batches import batch_size
from .classifier import FORWARD, Classifier, sharing_copy

KEPT = 0.5  # share of its pixels from which on a patch counts as kept


class KeptTokens(nn.Module):
    """Stands at `patch_drop` and passes on the tokens of some patches and all other tokens.

    Args:
        kept: N x C indices of patches.
        prefixes: class and register tokens, which come first.
        with_indices: return the indices as well, from which rotary embeddings are chosen.
    """

    def __init__(self, kept: Tensor, prefixes: int, with_indices: bool) -> None:
        super().__init__()
        self.kept, self.prefixes, self.with_indices = kept, prefixes, with_indices

    def forward(self, tokens: Tensor) -> Any:
        """N x (prefixes + C) x D of N x (prefixes + T) x D tokens."""
        indices = self.kept[..., None].expand(-1, -1, tokens.shape[-1])
        patches = tokens[:, self.prefixes :].gather(1, indices)
        tokens = torch.cat((tokens[:, : self.prefixes], patches), dim=1)
        return (tokens, self.kept) if self.with_indices else tokens


def drops_tokens(classifier: Classifier) -> bool:
    """Whether a classifier can do without the tokens of some patches.

    That takes a plain vision transformer of timm (`VisionTransformer`, DeiT and EVA among them):
    each token sees one patch of the pixels and knows its own position, and every layer attends to
    all tokens. Windows, biases of relative position and convolutions before the tokens need them
    all.
    """
    from timm.layers import PatchEmbed
    from timm.models.eva import Eva
    from timm.models.vision_transformer import VisionTransformer

    embed = getattr(classifier.model, "patch_embed", None)
    return (
        isinstance(classifier.model, (VisionTransformer, Eva))
        and type(embed) is PatchEmbed
        and all(
            side % patch == 0 for side, patch in zip(classifier.size, embed.patch_size, strict=True)
        )
    )


def kept_patches(classifier: Classifier, masks: Tensor) -> Tensor:
    """N x h x w bools: the patches of which N x 1 x H x W binary masks keep at least half.

    Args:
        classifier: for which `drops_tokens` is true.
    """
    return F.avg_pool2d(masks, classifier.model.patch_embed.patch_size)[:, 0] >= KEPT


@torch.no_grad()
def logits_of_kept_tokens(classifier: Classifier, pixels: Tensor, kept: Tensor) -> Tensor:
    """N x K logits, each row from the tokens of the kept patches alone.

    Class and register tokens are always kept. Images with as many kept patches share a batch. A row
    is NaN where no patch is kept and the classifier reads its answer from patches alone.

    Args:
        classifier: for which `drops_tokens` is true.
        pixels: N x 3 x H x W, or 1 x 3 x H x W for all.
        kept: N x h x w bools, see `kept_patches`; or N x 1 x H x W binary masks of pixels.

    Raises:
        ValueError: the classifier is of another architecture.
    """
    if not drops_tokens(classifier):
        raise ValueError(
            f"{classifier.name} cannot drop tokens; a plain vision transformer of timm can, such "
            "as vit_tiny_patch16_224."
        )
    kept = (kept_patches(classifier, kept) if kept.ndim == 4 else kept).flatten(1)
    pixels = pixels.expand(len(kept), -1, -1, -1)
    counts = kept.sum(1)
    logits = pixels.new_full((len(kept), len(classifier.class_names)), torch.nan)
    for count in counts.unique().tolist():
        if count == 0 and not _reads_prefixes(classifier.model):
            continue
        for rows in (counts == count).nonzero()[:, 0].split(batch_size(classifier)):
            patches = kept[rows].nonzero()[:, 1].view(len(rows), count)
            logits[rows] = _logits(classifier, pixels[rows], patches)
    return logits


def _reads_prefixes(model: Any) -> bool:
    """Whether the logits are read from class or register tokens, too."""
    with_prefixes = model.global_pool == "token" or getattr(model, "pool_include_prefix", False)
    return bool(with_prefixes and model.num_prefix_tokens)


def _logits(classifier: Classifier, pixels: Tensor, patches: Tensor) -> Tensor:
    """N x K logits from N x C patches of N x 3 x H x W pixels."""
    from timm.models.eva import Eva

    if classifier.before_pass:
        classifier.before_pass()
    classifier.passes += len(pixels) * FORWARD
    model: Any = sharing_copy(classifier.model)
    model.patch_drop = KeptTokens(patches, model.num_prefix_tokens, isinstance(model, Eva))
    return classifier.head(model.forward_features(classifier.normalized(pixels))).float()
