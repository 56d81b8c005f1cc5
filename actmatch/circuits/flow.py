"""How strongly the channels of one stage reach those of another, along the weights between them.

A non-negative matrix is carried through the operations of a `Trace`, with absolute weights: what
channel s weighs in channel d is the sum, over all paths from s to d, of the products of the
absolute weights on the path. For a single convolution this is ||W_d,s||_1, the strength of an edge
in "Minimalist Explanation Generation and Circuit Discovery" (arXiv 2509.25686). Positions are not
told apart, and over many layers the products grow large: only the strengths between one pair of
stages compare.

The flow into a value of N x C x h x w is a tensor of N x C x h x w x S for S source channels, with
1 in place of every axis along which it does not vary: mostly 1 x C x 1 x 1 x S.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.fx import Node

from .trace import Trace, Untraceable, module_of, operation_of, shape_of

# A tensor as above, a list of them for an operation that returns several values, or None where
# the value does not depend on the source.
Flow = Any
GATE = "Where two maps are multiplied, as by a gate, only the larger one passes channels on."
ATTENTION = "Attention passes the values' channels on; those of queries and keys are left out."
NORM = "Layer and group norms pass channels on by their weights; the division is left out."


@dataclass(frozen=True)
class Step:
    """One operation of a trace, and the flows into it.

    Attributes:
        flows: of the nodes that depend on the source.
        constants: of the trace.
        notes: approximations made on the way; added to.
    """

    node: Node
    flows: dict[Node, Flow]
    constants: dict[Node, Any]
    notes: set[str]

    def argument(self, place: int, default: Any = None) -> Any:
        """An argument of the operation as it stands in the graph."""
        return self.node.args[place] if place < len(self.node.args) else default

    def value(self, place: int) -> Any:
        """An argument that is a number or a constant tensor; None if it depends on the image."""
        given = self.argument(place)
        return self.constants.get(given) if isinstance(given, Node) else given

    def flow(self, place: int = 0) -> Flow:
        """The flow into an argument; None where it does not depend on the source."""
        given = self.argument(place)
        return self.flows.get(given) if isinstance(given, Node) else None

    @property
    def inputs(self) -> list[Node]:
        """The inputs that depend on the source."""
        return [node for node in self.node.all_input_nodes if node in self.flows]

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the result."""
        return shape_of(self.node)


Rule = Callable[[Step], Flow]
RULES: dict[str, Rule] = {}


def rule(*operations: str) -> Callable[[Rule], Rule]:
    """Registers the rule of some operations, by their names without overload."""

    def register(function: Rule) -> Rule:
        RULES.update(dict.fromkeys(operations, function))
        return function

    return register


def connections(
    trace: Trace, source: tuple[Node, int], target: tuple[Node, int]
) -> tuple[Tensor, set[str]]:
    """D x S matrix: how strongly each of S channels of the source reaches each of the target.

    Args:
        source, target: a node, and the axis of its channels.

    Returns:
        The matrix, and sentences that name its approximations.

    Raises:
        Untraceable: no rule is known for an operation on the way; the message names it.
    """
    (first, axis), (last, last_axis) = source, target
    shape = shape_of(first)
    seed = torch.eye(shape[axis], dtype=torch.float64, device=first.meta["val"].device)
    start = [1] * len(shape)
    start[axis] = shape[axis]
    flows: dict[Node, Flow] = {first: seed.view(*start, shape[axis])}
    notes: set[str] = set()
    for node in _between(trace.nodes, first, last):
        flows[node] = _apply(Step(node, flows, trace.constants, notes))
    flow = flows.get(last)
    if flow is None:
        return seed.new_zeros(shape_of(last)[last_axis], shape[axis]), notes
    others = [place for place in range(flow.ndim - 1) if place != last_axis]
    matrix = flow.amax(others) if others else flow
    return matrix.expand(shape_of(last)[last_axis], -1), notes


def _between(nodes: Sequence[Node], first: Node, last: Node) -> Iterator[Node]:
    """The nodes on all paths from one to another, without the first, in order."""
    needed, waiting = {last}, [last]
    while waiting:
        for node in waiting.pop().all_input_nodes:
            if node not in needed and node is not first:
                needed.add(node)
                waiting.append(node)
    reached = {first}
    for node in nodes:
        if node in needed and any(one in reached for one in node.all_input_nodes):
            reached.add(node)
            yield node


def _apply(step: Step) -> Flow:
    """The flow into the result of an operation."""
    name = operation_of(step.node)
    found = RULES.get(name)
    if found is None and torch.Tag.pointwise in getattr(step.node.target, "tags", ()):
        found = strongest
    if found is None:
        raise Untraceable(
            f"The connections of the stages are not known: there is no rule for the operation "
            f"{name} in module {module_of(step.node)}."
        )
    return found(step)


def _aligned(flow: Tensor, ndim: int) -> Tensor:
    """A flow with axes of length 1 in front, as broadcasting adds them."""
    return flow.reshape((1,) * (ndim + 1 - flow.ndim) + tuple(flow.shape))


def _scaled(step: Step, flow: Tensor, factor: Any) -> Tensor:
    """A flow times a number or a constant tensor that broadcasts over the result."""
    flow = _aligned(flow, len(step.shape))
    if not isinstance(factor, Tensor):
        return flow * abs(factor)
    factor = factor.abs().double()
    factor = factor.reshape((1,) * (len(step.shape) - factor.ndim) + tuple(factor.shape))
    uniform = [
        axis for axis in range(factor.ndim) if flow.shape[axis] == 1 and step.shape[axis] > 1
    ]
    factor = factor.mean(uniform, keepdim=True) if uniform else factor
    return flow * factor[..., None]


def _full(flow: Tensor, shape: Sequence[int], axes: Sequence[int]) -> Tensor:
    """A flow that is written out along some axes."""
    sizes = list(flow.shape)
    for axis in axes:
        sizes[axis] = shape[axis]
    return flow.expand(sizes)


def _uniform(flow: Tensor, axes: Sequence[int]) -> Tensor:
    """The strongest flow along some axes, in place of one that varies along them."""
    return flow.amax(tuple(axes), keepdim=True) if axes else flow


def _per_channel(values: Tensor, ndim: int) -> Tensor:
    """C values in a shape that broadcasts over N x C x ... ."""
    return values.reshape(-1, *(1,) * (ndim - 2))


@rule("relu", "relu6", "hardtanh", "hardswish", "hardsigmoid", "silu", "gelu", "mish", "elu",
      "selu", "celu", "leaky_relu", "prelu", "softplus", "tanh", "sigmoid", "clamp", "softmax",
      "log_softmax", "dropout", "native_dropout", "feature_dropout", "contiguous", "clone",
      "alias", "detach", "to", "to_copy", "type_as", "roll", "flip", "maximum", "minimum",
      "where")  # fmt: skip
def strongest(step: Step) -> Flow:
    """Pointwise operations pass channels on; of several inputs, the strongest flow."""
    flows = [_aligned(step.flows[node], len(step.shape)) for node in step.inputs]
    result = flows[0]
    for flow in flows[1:]:
        result = torch.maximum(*torch.broadcast_tensors(result, flow))
    return result


@rule("add", "sub", "rsub")
def added(step: Step) -> Flow:
    """Sums, such as residual connections, add the flows."""
    flows = [
        _aligned(step.flow(place), len(step.shape))
        for place in (0, 1)
        if step.flow(place) is not None
    ]
    return flows[0] if len(flows) == 1 else flows[0] + flows[1]


@rule("mul")
def multiplied(step: Step) -> Flow:
    """Factors scale a flow if they are constant; of two maps, the larger one passes."""
    for place, other in ((0, 1), (1, 0)):
        factor = step.value(other)
        if factor is not None:
            return _scaled(step, step.flow(place), factor)
    step.notes.add(GATE)
    sizes = [math.prod(shape_of(step.node.args[place])) for place in (0, 1)]  # type: ignore
    main = [place for place in (0, 1) if step.flow(place) is not None]
    if len(main) == 2 and sizes[0] == sizes[1]:
        return strongest(step)
    if len(main) == 2:
        main = [sizes.index(max(sizes))]
    return _aligned(step.flow(main[0]), len(step.shape))


@rule("div")
def divided(step: Step) -> Flow:
    """Constant divisors scale a flow; by another map, only the divided one passes."""
    flow, divisor = step.flow(0), step.value(1)
    if flow is None or divisor is None:
        step.notes.add(GATE)
        return _aligned(step.flow(1) if flow is None else flow, len(step.shape))
    return _scaled(step, flow, 1 / divisor)


@rule("conv1d", "conv2d", "conv3d", "convolution")
def convolved(step: Step) -> Flow:
    """|W| summed over the kernel, in each group of channels."""
    weight = step.value(1)
    if weight is None:
        step.notes.add(GATE)
        return step.flow(0)
    flow, space = step.flow(0), range(2, len(step.shape))
    kernel = weight.abs().double().flatten(2).sum(2)  # O x I / groups
    channels = shape_of(step.node.args[0])[1]  # type: ignore[arg-type]
    groups = channels // kernel.shape[1]
    flow = _full(_uniform(flow, [*space, 0]), (1, channels), [1]).reshape(channels, -1)
    parts = kernel.view(groups, -1, kernel.shape[1]) @ flow.view(groups, kernel.shape[1], -1)
    return parts.reshape(1, len(kernel), *(1 for _ in space), flow.shape[1])


@rule("linear")
def linear(step: Step) -> Flow:
    """|W| times the flow; over positions, the mean of the absolute weights' sums."""
    return _weighed(step, step.flow(0), step.value(1))


@rule("addmm")
def addmm(step: Step) -> Flow:
    """As `linear`."""
    weight = step.value(2)
    return _weighed(step, step.flow(1), None if weight is None else weight.T)


def _weighed(step: Step, flow: Tensor | None, weight: Tensor | None) -> Tensor:
    """The flow into values along the last axis that O x I weights map."""
    if flow is None or weight is None:
        step.notes.add(GATE)
        return next(_uniform(step.flows[one], [step.flows[one].ndim - 2]) for one in step.inputs)
    weight = weight.abs().double()
    if flow.shape[-2] == 1 and weight.shape[1] > 1:
        return flow * weight.sum(1).mean()
    return weight @ flow


@rule("matmul", "bmm")
def matrix_product(step: Step) -> Flow:
    """Of two maps, as in attention, the second passes what varies along its last axis."""
    one, other = step.flow(0), step.flow(1)
    if other is None and isinstance(step.value(1), Tensor) and step.value(1).ndim == 2:
        return _weighed(step, one, step.value(1).T)
    step.notes.add(ATTENTION)
    if other is None:
        return _aligned(_uniform(one, [one.ndim - 2]), len(step.shape))
    return _aligned(_uniform(other, [other.ndim - 3]), len(step.shape))


@rule("scaled_dot_product_attention")
def attention(step: Step) -> Flow:
    """The values' channels pass, from all positions."""
    step.notes.add(ATTENTION)
    flow = step.flow(2)
    if flow is None:
        return _uniform(strongest(step), range(len(step.shape)))
    return _uniform(flow, [flow.ndim - 3])


@rule("batch_norm", "native_batch_norm_legit_no_training", "cudnn_batch_norm")
def batch_norm(step: Step) -> Flow:
    """The weight over the standard deviation, per channel."""
    weight, variance = step.value(1), step.value(4)
    epsilon = step.argument(7, 1e-5)
    scale = (variance + epsilon).rsqrt() * (1 if weight is None else weight)
    return _scaled(step, step.flow(0), _per_channel(scale, len(step.shape)))


@rule("group_norm", "instance_norm")
def group_norm(step: Step) -> Flow:
    """The weight per channel; the division by the spread is left out."""
    step.notes.add(NORM)
    weight = step.value(2 if operation_of(step.node) == "group_norm" else 1)
    flow = step.flow(0)
    return flow if weight is None else _scaled(step, flow, _per_channel(weight, len(step.shape)))


@rule("layer_norm", "rms_norm", "native_layer_norm")
def layer_norm(step: Step) -> Flow:
    """The weight along the last axes; the division by the spread is left out."""
    step.notes.add(NORM)
    weight = step.value(2)
    return step.flow(0) if weight is None else _scaled(step, step.flow(0), weight)


@rule("avg_pool2d", "max_pool2d", "adaptive_avg_pool2d", "adaptive_max_pool2d",
      "upsample_nearest2d", "upsample_bilinear2d", "upsample_bicubic2d", "lp_pool2d")  # fmt: skip
def pooled(step: Step) -> Flow:
    """Pooling and resizing pass channels on."""
    flow = step.flow(0)
    flow = _uniform(flow, [flow.ndim - 3, flow.ndim - 2])
    return [flow, flow] if isinstance(step.node.meta["val"], (tuple, list)) else flow


@rule("avg_pool1d", "max_pool1d", "adaptive_avg_pool1d")
def pooled_row(step: Step) -> Flow:
    """Pooling over one axis passes channels on."""
    return _uniform(step.flow(0), [step.flow(0).ndim - 2])


@rule("mean", "sum", "amax", "amin")
def reduced(step: Step) -> Flow:
    """Means, sums and maxima over some axes."""
    flow, dims = step.flow(0), step.argument(1)
    ndim = flow.ndim - 1
    dims = range(ndim) if dims is None else [dims] if isinstance(dims, int) else dims
    places = [place % ndim for place in dims] or list(range(ndim))
    keep = bool(step.argument(2, step.node.kwargs.get("keepdim", False)))
    how = {"mean": torch.mean, "sum": torch.sum}.get(operation_of(step.node), torch.amax)
    return how(flow, tuple(places), keep)


@rule("view", "reshape", "unsafe_view", "flatten", "unflatten", "unsqueeze", "squeeze", "view_as",
      "reshape_as")  # fmt: skip
def reshaped(step: Step) -> Flow:
    """Axes that are merged or split: channels stay identified by their place."""
    return regrouped(step.flow(0), shape_of(step.inputs[0]), step.shape)


def regrouped(flow: Tensor, old: Sequence[int], new: Sequence[int]) -> Tensor:
    """The flow into a value of shape `old` that is viewed as `new`.

    Axes that hold the same values before and after form a group; a group along which the flow does
    not vary stays so, any other is written out.
    """
    sizes = [(side, flow.shape[axis]) for axis, side in enumerate(old) if side != 1]
    left, expanded, result = list(sizes), [], []
    waiting = [side for side in new if side != 1]
    while left:
        group, made = [left.pop(0)], [waiting.pop(0)]
        while math.prod(side for side, _ in group) != math.prod(made):
            if math.prod(side for side, _ in group) < math.prod(made):
                group.append(left.pop(0))
            else:
                made.append(waiting.pop(0))
        varies = any(size > 1 for _, size in group)
        expanded += [side if varies else 1 for side, _ in group]
        result += made if varies else [1] * len(made)
    flow = flow.reshape(*(size for _, size in sizes), -1).expand(*expanded, -1)
    places = iter(result)
    return flow.reshape(*(1 if side == 1 else next(places) for side in new), flow.shape[-1])


@rule("permute")
def permuted(step: Step) -> Flow:
    """The axes in another order."""
    flow, order = step.flow(0), step.argument(1)
    return flow.permute(*(place % len(order) for place in order), -1)


@rule("transpose", "t", "swapaxes", "mT", "numpy_T")
def transposed(step: Step) -> Flow:
    """Two axes exchanged."""
    flow = step.flow(0)
    ndim = flow.ndim - 1
    one, other = step.argument(1, ndim - 2), step.argument(2, ndim - 1)
    return flow.transpose(one % ndim, other % ndim)


@rule("expand", "expand_as", "broadcast_to", "repeat")
def expanded(step: Step) -> Flow:
    """Copies along axes, along which the flow does not vary."""
    return _aligned(step.flow(0), len(step.shape))


@rule("slice", "select", "split", "split_with_sizes", "chunk", "unbind", "tensor_split", "narrow")
def parted(step: Step) -> Flow:
    """Parts along an axis."""
    flow, source, name = step.flow(0), step.inputs[0], operation_of(step.node)
    where = 1 if name in ("slice", "select", "narrow", "unbind") else 2
    ndim = flow.ndim - 1
    axis = step.argument(where, step.node.kwargs.get("dim", 0)) % ndim
    args = [source, *step.node.args[1:]]
    args[where:] = [axis, *args[where + 1 :]]
    if flow.shape[axis] == shape_of(source)[axis]:
        parts = step.node.target(flow, *args[1:])  # type: ignore[operator]
        return list(parts) if isinstance(parts, (tuple, list)) else parts
    if name in ("select", "unbind"):
        flow = flow.squeeze(axis)
    several = isinstance(step.node.meta["val"], (tuple, list))
    return [flow] * len(step.node.meta["val"]) if several else flow


@rule("glu")
def gated(step: Step) -> Flow:
    """The first half of the channels passes, the other one is its gate."""
    step.notes.add(GATE)
    flow, axis = step.flow(0), step.argument(1, -1) % len(step.shape)
    return flow.narrow(axis, 0, step.shape[axis]) if flow.shape[axis] > 1 else flow


@rule("getitem")
def taken(step: Step) -> Flow:
    """One of several values."""
    return step.flow(0)[step.argument(1)]


@rule("cat", "concat", "concatenate", "stack")
def joined(step: Step) -> Flow:
    """Channels joined to one another; along other axes, the strongest flow."""
    parts: Any = step.argument(0)
    if operation_of(step.node) == "stack":
        return _stacked(step, parts)
    axis = step.argument(1, step.node.kwargs.get("dim", 0)) % len(step.shape)
    known = [part for part in parts if part in step.flows]
    if all(step.flows[part].shape[axis] == 1 and shape_of(part)[axis] > 1 for part in known):
        return strongest(step)
    axes = {axis} | {
        place
        for part in known
        for place, size in enumerate(step.flows[part].shape[:-1])
        if size > 1
    }
    like = step.flows[known[0]]
    nothing = like.new_zeros(*[1] * (like.ndim - 1), like.shape[-1])
    whole = [_full(step.flows.get(part, nothing), shape_of(part), [*axes]) for part in parts]
    return torch.cat(whole, axis)


def _stacked(step: Step, parts: Sequence[Node]) -> Flow:
    """Values joined along a new axis."""
    axis = step.argument(1, step.node.kwargs.get("dim", 0)) % len(step.shape)
    flows = [step.flows.get(part) for part in parts]
    like = next(flow for flow in flows if flow is not None)
    whole = [torch.zeros_like(like) if flow is None else flow for flow in flows]
    return torch.stack(torch.broadcast_tensors(*whole), axis)


@rule("pad", "constant_pad_nd", "reflection_pad2d", "replication_pad2d")
def padded(step: Step) -> Flow:
    """Padded positions pass channels on; padded channels have no flow."""
    flow, pads = step.flow(0), step.argument(1)
    for place in range(len(pads) // 2):
        axis = flow.ndim - 2 - place
        if flow.shape[axis] > 1:
            flow = F.pad(flow.movedim(axis, -1), pads[2 * place : 2 * place + 2]).movedim(-1, axis)
    return flow
