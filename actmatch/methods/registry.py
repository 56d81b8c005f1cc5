"""Other attribution methods, for comparison.

Each returns a 1 x 1 x h x w saliency map for one class of 1 x C x H x W pixels, of at most the
input's size, higher for more important pixels; only the order counts. All are in `METHODS`. A
method that does not work with a classifier raises `NoAttention`.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader

from ..classifiers.classifier import Classifier
from ..images.superpixels import superpixels
from ..problem.backgrounds import box_blur
from ..problem.infill import composite
from .attention import attention_maps, rollout, weighted_attention_maps

BATCH = 32  # images in a forward pass
RISE_MASKS, RISE_CELLS, RISE_SHARE = 1000, 7, 0.5
GRADIENT_STEPS, GRADIENT_BLUR = 32, 15
OCCLUSION_WINDOW, OCCLUSION_STRIDE = 32, 16
EXTREMAL_AREAS, EXTREMAL_STEPS, EXTREMAL_GRID = (0.05, 0.1, 0.2, 0.4), 100, 14
EXTREMAL_RATE, EXTREMAL_PULL = 0.1, 100.0
LIME_SAMPLES, LIME_SEGMENTS, LIME_COMPACTNESS = 1000, 100, 10.0
LIME_WIDTH, LIME_RIDGE = 0.25, 1.0  # of the kernel over distances, and of the penalty


def grad_cam(classifier: Classifier, pixels: Tensor, target: int, seed: int = 0) -> Tensor:
    """Saliency in [0, 1] at the deepest stage (Grad-CAM, arXiv 1610.02391).

    If the deepest stage gets no gradient (in timm's transformers its map is a copy), the absolute
    gradient x input, pooled to the same grid, is used instead.
    """
    with torch.enable_grad():
        image = pixels.detach().clone().requires_grad_(True)
        response = classifier(image)
        stage = response.activations[-1]
        score = response.logits[:, target].sum()
        in_stage, in_image = torch.autograd.grad(score, (stage, image), allow_unused=True)
    if in_stage is not None:
        saliency = (in_stage.mean((-2, -1), keepdim=True) * stage).sum(1, keepdim=True).relu()
    else:
        energy = (in_image * image).abs().sum(1, keepdim=True)
        saliency = F.adaptive_avg_pool2d(energy, stage.shape[-2:])
    saliency = saliency.detach()
    return saliency / saliency.amax().clamp_min(1e-12)


def rise(classifier: Classifier, pixels: Tensor, target: int, seed: int = 0) -> Tensor:
    """Sum of 1000 random masks weighted by the target's probability (RISE, arXiv 1806.07421)."""
    height, width = pixels.shape[-2:]
    random = torch.Generator(device=pixels.device).manual_seed(seed)
    cell_height, cell_width = math.ceil(height / RISE_CELLS), math.ceil(width / RISE_CELLS)
    total = torch.zeros(1, 1, height, width, device=pixels.device)
    for count in _batches(RISE_MASKS):
        shape = (count, 1, RISE_CELLS + 1, RISE_CELLS + 1)
        cells = torch.rand(shape, generator=random, device=pixels.device) < RISE_SHARE
        size = ((RISE_CELLS + 1) * cell_height, (RISE_CELLS + 1) * cell_width)
        smooth = F.interpolate(cells.float(), size, mode="bilinear", align_corners=False)
        shift = torch.rand(count, 2, generator=random, device=pixels.device)
        down = (shift[:, 0] * cell_height).long()[:, None, None]
        right = (shift[:, 1] * cell_width).long()[:, None, None]
        rows = down + torch.arange(height, device=pixels.device)[None, :, None]
        columns = right + torch.arange(width, device=pixels.device)[None, None, :]
        picture = torch.arange(count, device=pixels.device)[:, None, None]
        masks = smooth[picture, 0, rows, columns][:, None]
        with torch.no_grad():
            batch = composite(masks, pixels.expand(count, -1, -1, -1), classifier.gray)
            weight = classifier.logits(batch).softmax(-1)[:, target]
        total += (weight.view(-1, 1, 1, 1) * masks).sum(0, keepdim=True)
    return total


def integrated_gradients(
    classifier: Classifier, pixels: Tensor, target: int, seed: int = 0
) -> Tensor:
    """Absolute integrated gradients from gray, summed over channels and smoothed by a box.

    arXiv 1703.01365; captum.
    """
    from captum.attr import IntegratedGradients

    attribution = IntegratedGradients(classifier.logits).attribute(
        pixels,
        baselines=classifier.gray.expand_as(pixels),
        target=target,
        n_steps=GRADIENT_STEPS,
        internal_batch_size=8,
    )
    energy = attribution.detach().float().abs().sum(1, keepdim=True)
    return F.avg_pool2d(energy, GRADIENT_BLUR, stride=1, padding=GRADIENT_BLUR // 2)


def occlusion(classifier: Classifier, pixels: Tensor, target: int, seed: int = 0) -> Tensor:
    """Decrease of the target's logit under a sliding gray square (arXiv 1311.2901; captum)."""
    from captum.attr import Occlusion

    channels = pixels.shape[1]
    with torch.no_grad():
        attribution = Occlusion(classifier.logits).attribute(
            pixels,
            sliding_window_shapes=(channels, OCCLUSION_WINDOW, OCCLUSION_WINDOW),
            strides=(channels, OCCLUSION_STRIDE, OCCLUSION_STRIDE),
            baselines=classifier.gray.expand_as(pixels),
            target=target,
            perturbations_per_eval=BATCH,
        )
    return attribution.float().mean(1, keepdim=True)


def extremal_perturbation(
    classifier: Classifier, pixels: Tensor, target: int, seed: int = 0
) -> Tensor:
    """Mean of soft masks of four areas that maximize the target's logit on a blurred background.

    After arXiv 1910.08485: a penalty pulls the sorted mask to the step function of its area. The
    masks of all areas form one batch; pixels kept at a small area rank above those kept only at a
    large one.
    """
    count = len(EXTREMAL_AREAS)
    blurred = box_blur(pixels)
    cells = EXTREMAL_GRID**2
    wanted = torch.stack(
        [torch.arange(cells, device=pixels.device) >= cells * (1 - a) for a in EXTREMAL_AREAS]
    ).float()
    shape = (count, 1, EXTREMAL_GRID, EXTREMAL_GRID)
    logits = torch.zeros(shape, device=pixels.device, requires_grad=True)
    optimizer = torch.optim.Adam([logits], lr=EXTREMAL_RATE)
    image = pixels.expand(count, -1, -1, -1)
    for step in range(EXTREMAL_STEPS):
        with torch.enable_grad():
            mask = logits.sigmoid()
            upsampled = F.interpolate(mask, pixels.shape[-2:], mode="bilinear")
            reward = classifier.logits(composite(upsampled, image, blurred))[:, target].mean()
            ordered = mask.flatten(1).sort(dim=1).values
            pull = EXTREMAL_PULL * (step + 1) / EXTREMAL_STEPS
            loss = pull * (ordered - wanted).square().mean() - reward
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
        optimizer.step()
    return logits.detach().sigmoid().mean(0, keepdim=True)


def lime(classifier: Classifier, pixels: Tensor, target: int, seed: int = 0) -> Tensor:
    """Weight of each superpixel in a linear model of the probability (arXiv 1602.04938; captum).

    SLIC superpixels are kept or made gray at random. In the ridge regression, samples weigh more
    the more they keep.
    """
    from captum.attr import Lime

    random = torch.Generator().manual_seed(seed)

    def probabilities(batch: Tensor) -> Tensor:
        return classifier.logits(batch).softmax(-1)

    def drawn(image: Tensor, num_interp_features: int, **_: object) -> Tensor:
        kept = torch.rand(1, num_interp_features, generator=random) < 0.5
        return kept.long().to(image.device)

    def nearness(image: Tensor, sample: Tensor, kept: Tensor, **_: object) -> Tensor:
        distance = 1 - kept.float().mean().sqrt()  # cosine distance to keeping everything
        return (-((distance / LIME_WIDTH) ** 2)).exp()

    with torch.no_grad():
        attribution = Lime(probabilities, Ridge(LIME_RIDGE), nearness, drawn).attribute(
            pixels,
            baselines=classifier.gray.expand_as(pixels),
            target=target,
            feature_mask=superpixels(pixels, LIME_SEGMENTS, LIME_COMPACTNESS)[None, None],
            n_samples=LIME_SAMPLES,
            perturbations_per_eval=BATCH,
        )
    return attribution.float().mean(1, keepdim=True)


class Ridge:
    """A weighted linear regression with an unpenalized constant, as captum fits its models."""

    def __init__(self, penalty: float) -> None:
        self.penalty = penalty
        self.weights = torch.zeros(0)

    def fit(self, data: DataLoader) -> None:
        """Fit N x S inputs, N outputs and N weights, without drawing batches at random."""
        inputs, outputs, weights = (part.double() for part in data.dataset[:])
        share = (weights / weights.sum())[:, None]
        centered = inputs - (share * inputs).sum(0)
        scaled = (weights[:, None] * centered).T
        penalty = self.penalty * torch.eye(
            inputs.shape[1], dtype=torch.double, device=inputs.device
        )
        wanted = scaled @ (outputs.flatten() - (share[:, 0] * outputs.flatten()).sum())
        self.weights = torch.linalg.solve(scaled @ centered + penalty, wanted).float()

    def representation(self) -> Tensor:
        """1 x S weights."""
        return self.weights[None]


def attention_rollout(
    classifier: Classifier, pixels: Tensor, target: int, seed: int = 0, hops: int | None = None
) -> Tensor:
    """The attention that each patch gets by attention rollout, for any class (arXiv 2005.00928).

    Args:
        hops: number of layers, counted back from the last; None: all of them.

    Raises:
        NoAttention: the classifier is not a transformer with attention over the whole image.
        ValueError: there are not that many layers.
    """
    with torch.no_grad():
        height, width = classifier(pixels).activations[-1].shape[-2:]
    walked = rollout(attention_maps(classifier, pixels), hops)
    return _of_patches(classifier, walked, (height, width))


def attention_gradient(
    classifier: Classifier, pixels: Tensor, target: int, seed: int = 0
) -> Tensor:
    """What the attention that each patch gets adds to the target (arXiv 2103.15679).

    Relevance is walked through the layers, R + A R from R = I, where A is attention weighted by its
    gradient; what a token is to itself at the start is taken off.

    Raises:
        NoAttention: the classifier is not a transformer with attention over the whole image.
    """
    with torch.no_grad():
        height, width = classifier(pixels).activations[-1].shape[-2:]
    maps = weighted_attention_maps(classifier, pixels, target)
    identity = torch.eye(maps[0].shape[-1], device=pixels.device)
    walked = identity
    for attention in maps:
        walked = walked + attention @ walked
    return _of_patches(classifier, walked - identity, (height, width))


def _of_patches(classifier: Classifier, walked: Tensor, grid: tuple[int, int]) -> Tensor:
    """1 x 1 x h x w shares of the patches in the tokens that the logits are read from.

    Args:
        walked: 1 x T x T share of each token in each other one.
        grid: (h, w).
    """
    count = grid[0] * grid[1]
    patches = walked[:, :, -count:]
    reads_token = getattr(classifier.model, "global_pool", "") == "token"
    shares = patches[:, 0] if reads_token else patches[:, -count:].mean(1)
    return shares.view(1, 1, *grid)


def random_smooth(classifier: Classifier, pixels: Tensor, target: int, seed: int = 0) -> Tensor:
    """Control: 7 x 7 uniform noise."""
    random = torch.Generator(device=pixels.device).manual_seed(seed)
    return torch.rand(1, 1, 7, 7, generator=random, device=pixels.device)


def center_disc(classifier: Classifier, pixels: Tensor, target: int, seed: int = 0) -> Tensor:
    """Control: the closer to the center, the more important."""
    rows, columns = (
        torch.linspace(-1, 1, side, device=pixels.device) for side in pixels.shape[-2:]
    )
    return -(rows[:, None].square() + columns.square())[None, None]


def _batches(total: int) -> list[int]:
    """Batch sizes that add up to `total`."""
    return [BATCH] * (total // BATCH) + [total % BATCH] * bool(total % BATCH)


METHODS: dict[str, Callable[[Classifier, Tensor, int, int], Tensor]] = {
    "grad_cam": grad_cam,
    "rise": rise,
    "integrated_gradients": integrated_gradients,
    "occlusion": occlusion,
    "extremal_perturbation": extremal_perturbation,
    "lime": lime,
    "attention_rollout": attention_rollout,
    "attention_gradient": attention_gradient,
    "random_smooth": random_smooth,
    "center_disc": center_disc,
}
