"""On PyTorch the losses are differentiated by autograd, to any order, and stay exact."""

import functools
import math

import numpy as np
import pytest

import tensorweaver as tw
from tests.helpers.compare import assert_close
from tests.loss.cases import CASES, CLASSES, ROWS, convert, factor, labels, logits

torch = pytest.importorskip("torch")
functional = torch.nn.functional
from torch.autograd import gradcheck, gradgradcheck  # noqa: E402 - only where torch is
from torch.func import grad, hessian, jacfwd, jacrev, jvp, vmap  # noqa: E402 - likewise

# PyTorch compiles its own forward-mode rules with what it has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script:DeprecationWarning")

cross_entropy = tw.cross_entropy_loss
CHOSEN = ["huber", "bce, weight", "bce of logits, weights", "kl", "nll, all"]
CHOSEN += ["ce, all", "ce, probabilities, all"]


def on_torch(array, dtype=None):
    return torch.tensor(array, dtype=dtype)


def recorded(arrays):
    """The arrays, real ones as leaves of autograd."""
    return [a.clone().requires_grad_(a.is_floating_point()) for a in arrays]


@pytest.fixture(params=CASES)
def case(request):
    """A loss with the arrays and options of an ordinary call, on PyTorch."""
    chosen = CASES[request.param]
    arrays, options = convert(chosen, on_torch)
    return chosen, arrays, options


@pytest.fixture(params=CHOSEN)
def chosen_case(request):
    """The same, for one loss of each structure."""
    chosen = CASES[request.param]
    arrays, options = convert(chosen, on_torch)
    return chosen.loss, arrays, options


# --------------------------------------------------------------------- autograd
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_backward_is_our_own_gradient(case, reduction):
    chosen, arrays, options = case
    options["reduction"] = reduction
    leaves = recorded(arrays)
    value = chosen.loss(*leaves, **options)
    value.backward()
    assert_close(value, chosen.loss(*arrays, **options))
    for place in chosen.real:
        name = chosen.loss.formula.arguments[place]
        expected = chosen.loss.grad(*arrays, wrt=name, **options)
        assert_close(leaves[place].grad, expected, of="gradient", atol=1e-16)


def test_backward_from_elements(case):
    chosen, arrays, options = case
    leaves = recorded(arrays)
    losses = chosen.loss(*leaves, reduction="none", **options)
    cotangent = torch.cos(torch.arange(losses.numel(), dtype=losses.dtype)).reshape(losses.shape)
    losses.backward(cotangent)
    expected = chosen.loss.grad(*arrays, reduction="sum", sample_weight=cotangent, **options)
    assert_close(leaves[0].grad, expected, of="gradient", atol=1e-15)


def test_gradcheck(case):
    chosen, arrays, options = case
    function = functools.partial(chosen.loss, **options)
    assert gradcheck(function, recorded(arrays), check_forward_ad=True)


def test_gradgradcheck(case):
    chosen, arrays, options = case
    function = functools.partial(chosen.loss, **options)
    assert gradgradcheck(function, recorded(arrays))


@pytest.mark.parametrize("name", ["ce, all", "nll, all", "ce, probabilities, all"])
def test_weights_are_differentiated(name):
    chosen = CASES[name]
    arrays, options = convert(chosen, on_torch)
    sample_weight = torch.rand(ROWS, dtype=torch.float64, requires_grad=True)
    weight = options.pop("weight").clone().requires_grad_()

    def function(sample_weight, weight):
        return chosen.loss(*arrays, sample_weight=sample_weight, weight=weight, **options)

    assert gradcheck(function, (sample_weight, weight))
    assert gradgradcheck(function, (sample_weight, weight))
    expected = chosen.loss.grad(
        *arrays,
        sample_weight=sample_weight.detach(),
        weight=weight.detach(),
        wrt=("sample_weight", "weight"),
        **options,
    )
    found = torch.autograd.grad(function(sample_weight, weight), (sample_weight, weight))
    for gradient, ours in zip(found, expected, strict=True):
        assert_close(gradient, ours, of="gradient", atol=1e-15)


def test_a_graph_may_be_kept_and_walked_again():
    leaf = on_torch(logits).requires_grad_()
    value = cross_entropy(leaf, on_torch(labels))
    value.backward(retain_graph=True)
    value.backward()
    assert_close(leaf.grad, 2 * cross_entropy.grad(on_torch(logits), on_torch(labels)))


def test_third_derivatives():
    leaf = on_torch(logits[:2]).requires_grad_()

    def curvature(x):
        value = cross_entropy(x, on_torch(labels[:2]))
        (first,) = torch.autograd.grad(value, x, create_graph=True)
        (second,) = torch.autograd.grad((first**2).sum(), x, create_graph=True)
        return (second**2).sum()

    assert gradcheck(curvature, leaf)


def test_targets_that_broadcast_get_gradients_of_their_shape():
    predictions = on_torch(logits)
    small = on_torch(logits[0]).requires_grad_()
    tw.mse_loss(predictions, small).backward()
    assert_close(small.grad, (-2 * (predictions - small.detach())).mean(0) / CLASSES)


def test_a_single_number():
    leaf = torch.tensor(2.0, requires_grad=True)
    value = tw.mse_loss(leaf, torch.tensor(0.5))
    value.backward()
    assert (value.item(), leaf.grad.item(), value.shape) == (2.25, 3.0, ())


def test_nothing_is_recorded_for_nobody():
    assert cross_entropy(on_torch(logits), on_torch(labels)).grad_fn is None
    leaf = on_torch(logits).requires_grad_()
    with torch.no_grad():
        assert not cross_entropy(leaf, on_torch(labels)).requires_grad
    with torch.inference_mode():
        assert_close(
            cross_entropy(on_torch(logits), on_torch(labels)).clone(),
            on_torch(np.asarray(cross_entropy(logits, labels))),
        )


def test_a_module_trains():
    torch.manual_seed(0)
    layer = torch.nn.Linear(2, 3, dtype=torch.float64)
    inputs = torch.randn(60, 2, dtype=torch.float64)
    classes = (inputs[:, 0] > 0).long() + (inputs[:, 1] > 0).long()
    optimiser = torch.optim.SGD(layer.parameters(), lr=1.0)
    first = cross_entropy(layer(inputs), classes).item()
    for _ in range(100):
        optimiser.zero_grad()
        cross_entropy(layer(inputs), classes).backward()
        optimiser.step()
    assert cross_entropy(layer(inputs), classes).item() < first / 2


# --------------------------------------------------------------------- torch.func
def test_functional_gradients(chosen_case):
    loss, arrays, options = chosen_case
    function = lambda first: loss(first, *arrays[1:], **options)  # noqa: E731 - a closure of the test
    expected = loss.grad(*arrays, **options)
    for transform in (grad, jacrev, jacfwd):
        assert_close(transform(function)(arrays[0]), expected, of="gradient", atol=1e-16)
    tangent = torch.cos(torch.arange(arrays[0].numel(), dtype=torch.float64))
    tangent = tangent.reshape(arrays[0].shape)
    value, slope = jvp(function, (arrays[0],), (tangent,))
    assert_close(value, function(arrays[0]))
    assert_close(slope, (expected * tangent).sum(), of="gradient", atol=1e-15)
    product = jvp(grad(function), (arrays[0],), (tangent,))[1]
    ours = loss.hvp(*arrays, tangent, **options)
    assert_close(product, ours, of="hessian", atol=1e-15)


def test_what_is_made_inside_a_transform_outlives_it():
    @tw.pointwise
    def new_loss(predictions, targets):
        xp = tw.array_namespace(predictions)
        error = predictions - targets
        return xp.where(error > 1.5, 3.0 * error**2, xp.maximum(error, 0.25) ** 3)

    arrays = torch.tensor([0.5, 1.0, 4.0]), torch.zeros(3)
    inside = hessian(lambda x: new_loss(x, arrays[1]))(arrays[0])
    outside = new_loss.hessian_diag(*arrays)
    assert_close(inside, torch.diag(outside), of="hessian")
    assert_close(
        torch.func.grad(lambda x: new_loss(x, arrays[1]))(arrays[0]), new_loss.grad(*arrays)
    )


def test_hessian_is_our_own(chosen_case):
    loss, arrays, options = chosen_case
    function = lambda first: loss(first, *arrays[1:], **options)  # noqa: E731 - a closure of the test
    found = hessian(function)(arrays[0])
    if loss.formula.rowwise:
        expected = torch.zeros_like(found)
        for row, block in enumerate(loss.hessian(*arrays, **options)):
            expected[row, :, row, :] = block
    else:
        diagonal = loss.hessian_diag(*arrays, **options)
        expected = torch.diag(diagonal.ravel()).reshape(found.shape)
    assert_close(found, expected, of="hessian", atol=1e-15)
    assert_close(jacrev(jacrev(function))(arrays[0]), expected, of="hessian", atol=1e-15)


def test_vmap_is_a_loop(chosen_case):
    loss, arrays, options = chosen_case
    options = {name: value for name, value in options.items() if "weight" not in name}
    each = functools.partial(loss, **options)
    pairs = list(zip(*arrays, strict=True))
    assert_close(vmap(each)(*arrays), torch.stack([each(*rows) for rows in pairs]))
    gradients = torch.stack([loss.grad(*rows, **options) for rows in pairs])
    assert_close(vmap(grad(each))(*arrays), gradients, of="gradient", atol=1e-16)
    together = grad(lambda *given: vmap(each)(*given).sum())(*arrays)
    assert_close(together, gradients, of="gradient", atol=1e-16)


# --------------------------------------------------------------------- exactness
def test_confident_rows_keep_exact_gradients():
    small = math.exp(-40.0)
    leaf = torch.tensor([[40.0, 0.0]], dtype=torch.float64, requires_grad=True)
    value = cross_entropy(leaf, torch.tensor([0]))
    value.backward()
    assert_close(value, small, ulp=2)
    assert_close(leaf.grad, [[-small, small]], ulp=2)
    logit = torch.tensor(40.0, dtype=torch.float64, requires_grad=True)
    tw.binary_cross_entropy_with_logits_loss(logit, torch.tensor(1.0)).backward()
    assert_close(logit.grad, -small, ulp=2)


def test_an_infinite_slope_beside_a_cotangent_of_zero_leaks_nothing():
    leaf = torch.tensor([0.0, 0.5], requires_grad=True)
    losses = tw.binary_cross_entropy_loss(leaf, torch.tensor([1.0, 0.0]), reduction="none")
    torch.where(torch.tensor([False, True]), losses, 0.0).sum().backward()
    assert leaf.grad.tolist() == [0.0, 2.0]


@pytest.mark.parametrize("poison", [math.nan, math.inf, -math.inf])
def test_masked_rows_leak_nothing(poison):
    x = on_torch(logits)
    x[1] = poison
    kept = torch.tensor([True, False, True, True, True])
    leaf = x.requires_grad_()
    cross_entropy(leaf, on_torch(labels), where=kept).backward()
    expected = torch.zeros_like(leaf)
    expected[kept] = cross_entropy.grad(leaf.detach()[kept], on_torch(labels)[kept])
    assert_close(leaf.grad, expected, of="gradient", atol=1e-16)


def test_kinks_take_the_smallest_slope():
    leaf = torch.tensor([0.0, 1.0, -1.0], requires_grad=True)
    tw.l1_loss(leaf, torch.zeros(3), reduction="sum").backward()
    assert leaf.grad.tolist() == [0.0, 1.0, -1.0]


def test_nothing_to_average_is_zero():
    leaf = torch.full((2, 3), math.nan, requires_grad=True)
    value = cross_entropy(leaf, torch.tensor([-100, -100]))
    value.backward()
    assert value.item() == 0.0
    assert leaf.grad.tolist() == [[0.0] * 3] * 2


def test_bad_labels_poison_their_row_inside_vmap():
    bad = on_torch(labels)
    bad[2] = CLASSES
    losses = vmap(cross_entropy)(on_torch(logits), bad)
    assert torch.isnan(losses).tolist() == [False, False, True, False, False]
    with pytest.raises(tw.LabelError, match=r"targets\[2\] is 4"):
        cross_entropy(on_torch(logits), bad)


# --------------------------------------------------------------------- dtypes
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_computes_in_float32(dtype):
    leaf = on_torch(logits, dtype).requires_grad_()
    value = cross_entropy(leaf, on_torch(labels))
    value.backward()
    assert (value.dtype, leaf.grad.dtype) == (torch.float32, dtype)
    assert cross_entropy(leaf, on_torch(labels), reduction="none").dtype == dtype
    exact = leaf.detach().double()
    reference = cross_entropy(exact, on_torch(labels))
    assert_close(value, reference.item(), rtol=1e-6)
    gradient = cross_entropy.grad(exact, on_torch(labels)).to(dtype)
    assert_close(leaf.grad, gradient, of="value", atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.int8, torch.int32, torch.uint8, torch.int64])
def test_labels_of_any_integer_dtype(dtype):
    found = cross_entropy(on_torch(logits), on_torch(labels).to(dtype))
    assert_close(found, cross_entropy(on_torch(logits), on_torch(labels)), rtol=0.0)


# --------------------------------------------------------------------- PyTorch's conventions
PEERS = {
    "mse": functional.mse_loss,
    "l1": functional.l1_loss,
    "huber": functional.huber_loss,
    "huber, delta": functional.huber_loss,
    "smooth l1": functional.smooth_l1_loss,
    "smooth l1, beta": functional.smooth_l1_loss,
    "bce": functional.binary_cross_entropy,
    "bce, weight": functional.binary_cross_entropy,
    "bce of logits": functional.binary_cross_entropy_with_logits,
    "bce of logits, weights": functional.binary_cross_entropy_with_logits,
    "kl": functional.kl_div,
    "kl, log target": functional.kl_div,
    "ce": functional.cross_entropy,
    "ce, weight": functional.cross_entropy,
    "ce, smoothing": functional.cross_entropy,
    "ce, ignored": functional.cross_entropy,
    "ce, all": functional.cross_entropy,
    "ce, probabilities": functional.cross_entropy,
    "ce, probabilities, all": functional.cross_entropy,
    "nll": functional.nll_loss,
    "nll, all": functional.nll_loss,
}


@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides:UserWarning")  # torch's, on kl_div
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("name", PEERS)
def test_equals_torch(name, reduction):
    chosen = CASES[name]
    arrays, options = convert(chosen, on_torch)
    ours = chosen.loss(*arrays, reduction=reduction, **options)
    leaves = recorded(arrays[:1])
    theirs = PEERS[name](leaves[0], *arrays[1:], reduction=reduction, **options)
    assert_close(ours, theirs, rtol=1e-13)
    theirs.sum().backward()
    gradient = chosen.loss.grad(*arrays, reduction=reduction, **options)
    assert_close(gradient, leaves[0].grad, rtol=1e-12, atol=1e-15)


def test_batchmean_equals_torch():
    chosen = CASES["kl"]
    arrays, _ = convert(chosen, on_torch)
    theirs = functional.kl_div(*arrays, reduction="batchmean")
    assert_close(tw.kl_div_loss(*arrays, reduction="batchmean"), theirs, rtol=1e-13)


@pytest.mark.parametrize("shape", [(2, 3, 4), (2, 3, 4, 5), (3,)])
def test_any_rank_equals_torch_with_the_class_axis_where_torch_has_it(shape):
    x = torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    axis = 1 if len(shape) > 1 else 0
    places = tuple(np.delete(shape, axis))
    y = torch.randint(0, 3, places, generator=torch.Generator().manual_seed(2))
    leaf = x.clone().requires_grad_()
    theirs = functional.cross_entropy(leaf, y, label_smoothing=0.1)
    theirs.backward()
    value, gradient = cross_entropy.value_and_grad(x, y, axis=axis, label_smoothing=0.1)
    assert_close(value, theirs, rtol=1e-13)
    assert_close(gradient, leaf.grad, rtol=1e-12, atol=1e-15)


def test_a_gradient_may_be_written_in_place_of_the_logits():
    x = on_torch(logits)
    expected = cross_entropy.grad(x, on_torch(labels))
    assert cross_entropy.grad(x, on_torch(labels), out=x) is x
    assert_close(x, expected, rtol=0.0)


def test_weight_may_be_a_leaf_beside_constant_logits():
    weight = on_torch(factor).requires_grad_()
    value = tw.binary_cross_entropy_loss(torch.sigmoid(on_torch(logits)), 1.0, weight=weight)
    value.backward()
    losses = tw.binary_cross_entropy_loss(torch.sigmoid(on_torch(logits)), 1.0, reduction="none")
    assert_close(weight.grad, losses / losses.numel(), of="gradient")


def test_a_first_call_under_fake_tensors_leaves_later_calls_whole():
    from torch._subclasses.fake_tensor import FakeTensorMode

    loss = tw.pointwise(lambda x, y: tw.array_namespace(x).maximum(x * y, 0.25))
    with FakeTensorMode():
        fake = torch.ones(3, dtype=torch.float64)
        assert loss.grad(fake, fake, where=fake > 0).shape == (3,)
    real = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    gradient = loss.grad(real, real, where=real > 0, reduction="sum")
    assert gradient.tolist() == [1.0, 0.0, 0.0]
