"""Transducers and chains of tags: refusals, edges, padding, the formulas of other libraries."""

import itertools

import numpy as np
import pytest

import tensorweaver as tw
from tests.helpers.compare import assert_close

INF = np.inf


def log_softmax(x):
    x = x - x.max(-1, keepdims=True)
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


# ------------------------------------------------------------------------------------- transducers
@pytest.fixture
def lattice(rng):
    """Three sequences of several lengths: logits, labels and both lengths."""
    logits = 2 * rng.normal(size=(3, 5, 4, 6))
    return logits, rng.integers(0, 5, (3, 3)), np.asarray([5, 3, 4]), np.asarray([3, 2, 0])


def rnnt(*arrays, **options):
    return tw.rnnt_loss.value_and_grad(*arrays, reduction="sum", **options)


def walked(blank, label):
    """The logarithms of all ways to each place of one lattice, and of all ways on from there."""
    steps, width = blank.shape
    alpha, beta = np.full((steps, width), -INF), np.full((steps + 1, width + 1), -INF)
    alpha[0, 0], beta[steps, width - 1] = 0.0, 0.0
    for t, u in list(np.ndindex(steps, width))[1:]:
        by_blank = alpha[t - 1, u] + blank[t - 1, u] if t else -INF
        by_label = alpha[t, u - 1] + label[t, u - 1] if u else -INF
        alpha[t, u] = np.logaddexp(by_blank, by_label)
    for t, u in reversed(list(np.ndindex(steps, width))):
        beta[t, u] = np.logaddexp(beta[t + 1, u] + blank[t, u], beta[t, u + 1] + label[t, u])
    return alpha, beta


def torchaudio_formula(logits, targets, steps, lengths):
    """The recursion and the gradient as torchaudio writes them down."""
    losses, gradients = [], np.zeros_like(logits)
    for n, (t_end, u_end) in enumerate(zip(steps, lengths, strict=True)):
        log_probs = log_softmax(logits[n, :t_end, : u_end + 1])
        blank, label = log_probs[..., -1], np.full(log_probs.shape[:2], -INF)
        for u in range(u_end):
            label[:, u] = log_probs[:, u, targets[n, u]]
        alpha, beta = walked(blank, label)
        by_blank = np.exp(alpha + blank + beta[1:, :-1] - beta[0, 0])
        by_label = np.exp(alpha + label + beta[:-1, 1:] - beta[0, 0])
        gradient = np.exp(log_probs) * (by_blank + by_label)[..., None]
        gradient[..., -1] -= by_blank
        for u in range(u_end):
            gradient[:, u, targets[n, u]] -= by_label[:, u]
        gradients[n, :t_end, : u_end + 1] = gradient
        losses.append(-beta[0, 0])
    return np.asarray(losses), gradients


def test_rnnt_is_what_torchaudio_computes(lattice):
    losses, gradient = torchaudio_formula(*lattice)
    assert_close(tw.rnnt_loss(*lattice, reduction="none"), losses, rtol=1e-14)
    assert_close(tw.rnnt_loss(*lattice), losses.mean(), rtol=1e-14)
    assert_close(rnnt(*lattice)[1], gradient, rtol=1e-11, atol=1e-15)
    tw.check_gradient(tw.rnnt_loss, *lattice, sample_weight=[0.5, 2.0, 1.0])


def test_rnnt_without_labels_is_a_chain_of_blanks(lattice):
    logits, targets, steps, _ = lattice
    losses = tw.rnnt_loss(logits, targets, steps, 0, reduction="none")
    blanks = log_softmax(logits)[:, :, 0, -1]
    want = [-blanks[n, : steps[n]].sum() for n in range(3)]
    assert_close(losses, want, rtol=1e-14)
    narrow = tw.rnnt_loss(logits[:, :, :1], np.zeros((3, 0), int), steps, 0, reduction="none")
    assert_close(narrow, want, rtol=1e-14)


def test_log_probabilities_as_they_come(lattice):
    logits, *rest = lattice
    log_probs = log_softmax(logits)
    value, gradient = rnnt(log_probs, *rest, fused_log_softmax=False)
    assert_close(value, rnnt(*lattice)[0], rtol=1e-14)
    through = gradient - np.exp(log_probs) * gradient.sum(-1, keepdims=True)
    assert_close(rnnt(*lattice)[1], through, rtol=1e-10, atol=1e-14)
    tw.check_gradient(tw.rnnt_loss, log_probs, *rest, fused_log_softmax=False)


def test_what_is_padding_in_a_lattice_plays_no_part(lattice):
    logits, targets, steps, lengths = lattice
    value, gradient = rnnt(*lattice)
    poisoned, padded = logits.copy(), targets.copy()
    for n in range(3):
        poisoned[n, steps[n] :] = np.nan
        poisoned[n, :, lengths[n] + 1 :] = np.nan
        padded[n, lengths[n] :] = 99
    other, same = rnnt(poisoned, padded, steps, lengths)
    assert other == value
    np.testing.assert_array_equal(same, gradient)
    vector = np.linspace(-1, 1, logits.size).reshape(logits.shape)
    product = tw.rnnt_loss.hvp(poisoned, padded, steps, lengths, vector)
    assert_close(product, tw.rnnt_loss.hvp(*lattice, vector), rtol=1e-12)
    assert np.isfinite(product).all()


def test_impossible_classes_in_a_lattice(lattice):
    logits, targets, steps, lengths = lattice
    never = logits.copy()
    targets = targets % 4
    never[..., 4] = -INF  # nobody says it
    value, gradient = rnnt(never, targets, steps, lengths)
    assert np.isfinite(value)
    assert np.isfinite(gradient).all()
    assert np.all(gradient[..., 4] == 0)
    assert np.isfinite(tw.rnnt_loss.hvp(never, targets, steps, lengths, np.ones_like(never))).all()
    never[0, :, 1, targets[0, 1]] = -INF  # the second label of the first sequence, at no step
    losses = tw.rnnt_loss(never, targets, steps, lengths, reduction="none")
    assert losses[0] == INF
    assert np.isfinite(losses[1:]).all()
    assert np.all(rnnt(never, targets, steps, lengths)[1][0] == 0)


def test_a_clamp_limits_each_number_of_a_losss_gradient(lattice):
    value, gradient = rnnt(*lattice)
    other, limited = rnnt(*lattice, clamp=0.1)
    assert other == value
    np.testing.assert_array_equal(limited, np.clip(gradient, -0.1, 0.1))
    assert np.abs(gradient).max() > 0.1
    by_mean = tw.rnnt_loss.grad(*lattice, clamp=0.1)
    assert_close(by_mean, limited / 3, rtol=1e-14)
    np.testing.assert_array_equal(rnnt(*lattice, clamp=0)[1], gradient)


def test_the_blank_may_be_counted_from_either_end(lattice):
    logits, targets, steps, lengths = lattice
    assert rnnt(*lattice, blank=5)[0] == rnnt(*lattice)[0]
    turned = np.roll(logits, 1, axis=3)
    value, gradient = rnnt(turned, targets + 1, steps, lengths, blank=0)
    want, expected = rnnt(*lattice)
    assert_close(value, want, rtol=1e-14)
    assert_close(gradient, np.roll(expected, 1, axis=3), rtol=1e-11, atol=1e-15)


def test_no_lattices():
    none = np.zeros(0, int)
    value, gradient = tw.rnnt_loss.value_and_grad(
        np.zeros((0, 2, 3, 4)), np.zeros((0, 2), int), none, none
    )
    assert value == 0
    assert gradient.shape == (0, 2, 3, 4)
    value, gradient = tw.rnnt_loss.value_and_grad(
        np.zeros((0, 0, 1, 4)), np.zeros((0, 0), int), none, none
    )
    assert value == 0
    assert gradient.shape == (0, 0, 1, 4)


def test_a_lattice_that_cannot_be_looked_at(lattice):
    dask = pytest.importorskip("dask.array")
    logits, targets, steps, lengths = (np.array(a) for a in lattice)
    targets[0, 1], steps[1] = 5, 0  # the blank; no step at all
    lazy = [dask.from_array(a) for a in (logits, targets, steps, lengths)]
    losses = np.asarray(tw.rnnt_loss(*lazy, reduction="none"))
    assert np.isnan(losses[:2]).all()
    assert_close(losses[2], tw.rnnt_loss(*lattice, reduction="none")[2], rtol=1e-14)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"logits": np.zeros((3, 5, 6))}, tw.ShapeError, r"must have shape \(N, T, U \+ 1, C\)"),
        ({"targets": np.zeros((3, 4), int)}, tw.ShapeError, r"targets must have shape \(3, 3\)"),
        ({"logit_lengths": [5, 5]}, tw.ShapeError, r"logit_lengths must have shape \(3,\)"),
        ({"logit_lengths": [5, 0, 1]}, tw.ArgumentError, r"logit_lengths\[1\] is 0, .* 1 to 5"),
        ({"target_lengths": [1, 1, 4]}, tw.ArgumentError, r"target_lengths\[2\] is 4, .* 0 to 3"),
        ({"targets": [[0, 6, 0], [0] * 3, [0] * 3]}, tw.LabelError, r"targets\[0, 1\] is 6"),
        ({"targets": [[0, 5, 0], [0] * 3, [0] * 3]}, tw.LabelError, r"\[0, 1\] is 5, the blank"),
        ({"blank": 6}, tw.ArgumentError, "blank must be a class, -6 to 5, got 6"),
        ({"clamp": "high"}, tw.ArgumentError, "clamp must be a number"),
    ],
)
def test_rnnt_refuses(lattice, change, error, message):
    names = ("logits", "targets", "logit_lengths", "target_lengths")
    given = {**dict(zip(names, lattice, strict=True)), **change}
    with pytest.raises(error, match=message):
        tw.rnnt_loss(**given)


# ---------------------------------------------------------------------------------- chains of tags
@pytest.fixture
def chain(rng):
    """Three sequences: emissions, tags, transitions; and the options of start, end and lengths."""
    arrays = rng.normal(size=(3, 4, 3)), rng.integers(0, 3, (3, 4)), rng.normal(size=(3, 3))
    ends = {"start_transitions": rng.normal(size=3), "end_transitions": rng.normal(size=3)}
    return arrays, {**ends, "lengths": np.asarray([4, 2, 3])}


def taggings(arrays, options):
    """Every tagging of every sequence, its score, and the score of the tags given."""
    emissions, tags, transitions = arrays
    start, end = options["start_transitions"], options["end_transitions"]

    def score(n, tagging):
        own = sum(emissions[n, t, tag] for t, tag in enumerate(tagging))
        moves = sum(transitions[a, b] for a, b in itertools.pairwise(tagging))
        return own + moves + start[tagging[0]] + end[tagging[-1]]

    for n, length in enumerate(options["lengths"]):
        every = list(itertools.product(range(3), repeat=int(length)))
        yield every, np.asarray([score(n, t) for t in every]), score(n, tags[n, :length])


def test_crf_is_what_all_taggings_say(chain):
    arrays, options = chain
    losses, by_emissions, by_moves = [], np.zeros((3, 4, 3)), np.zeros((3, 3))
    for n, (every, scores, own) in enumerate(taggings(arrays, options)):
        total = np.log(np.sum(np.exp(scores)))
        losses.append(total - own)
        chosen = tuple(arrays[1][n, : len(every[0])])
        shares = [(t, np.exp(s - total)) for t, s in zip(every, scores, strict=True)]
        for tagging, share in [*shares, (chosen, -1.0)]:
            by_emissions[n, np.arange(len(tagging)), list(tagging)] += share
            for pair in itertools.pairwise(tagging):
                by_moves[pair] += share
    assert_close(tw.crf_nll_loss(*arrays, reduction="none", **options), losses, rtol=1e-13)
    assert_close(tw.crf_nll_loss(*arrays, **options), np.mean(losses), rtol=1e-13)
    found = tw.crf_nll_loss.grad(*arrays, reduction="sum", **options)
    assert_close(found[0], by_emissions, rtol=1e-11, atol=1e-14)
    assert_close(found[1], by_moves, rtol=1e-11, atol=1e-14)
    for wrt in ("emissions", "transitions", "start_transitions", "end_transitions"):
        tw.check_gradient(tw.crf_nll_loss, *arrays, wrt=wrt, **options)


def test_what_is_padding_in_a_chain_plays_no_part(chain):
    (emissions, tags, transitions), options = chain
    want = tw.crf_nll_loss.value_and_grad(emissions, tags, transitions, **options)
    poisoned, padded = emissions.copy(), tags.copy()
    for n, length in enumerate(options["lengths"]):
        poisoned[n, length:], padded[n, length:] = np.nan, -100
    value, gradient = tw.crf_nll_loss.value_and_grad(poisoned, padded, transitions, **options)
    assert value == want[0]
    for got, expected in zip(gradient, want[1], strict=True):
        np.testing.assert_array_equal(got, expected)
    none = tw.crf_nll_loss(emissions, tags, transitions, lengths=0, reduction="none")
    np.testing.assert_array_equal(none, np.zeros(3))
    empty = np.zeros((2, 0, 3)), np.zeros((2, 0), int), transitions
    np.testing.assert_array_equal(tw.crf_nll_loss(*empty, reduction="none"), np.zeros(2))


def test_forbidden_tags_cost_infinity_and_others_are_left_out(chain):
    (emissions, _, transitions), _ = chain
    forbidding = transitions.copy()
    forbidding[0, 1] = -INF
    tags = np.asarray([[0, 1, 2, 2], [2, 2, 0, 0], [1, 2, 0, 2]])
    losses = tw.crf_nll_loss(emissions, tags, forbidding, reduction="none")
    assert losses[0] == INF
    assert np.isfinite(losses[1:]).all()
    by_emissions, by_moves = tw.crf_nll_loss.grad(emissions, tags, forbidding, reduction="sum")
    assert np.all(by_emissions[0] == 0)
    assert np.isfinite(by_emissions).all()
    assert np.isfinite(by_moves).all()
    assert by_moves[0, 1] == 0
    never = emissions.copy()
    never[:, :, 1] = -INF
    kept = np.ix_([0, 2], [0, 2])
    want = tw.crf_nll_loss(emissions[1:2][..., [0, 2]], [[1, 1, 0, 0]], transitions[kept])
    assert_close(tw.crf_nll_loss(never[1:2], tags[1:2], transitions), want, rtol=1e-14)


def test_a_certain_chain_keeps_its_small_loss():
    emissions = np.zeros((1, 3, 2))
    emissions[0, :, 1] = [40.0, 45.0, 50.0]
    tags, transitions = np.ones((1, 3), int), np.zeros((2, 2))
    value, (by_emissions, _) = tw.crf_nll_loss.value_and_grad(emissions, tags, transitions)
    exact = np.log1p(np.exp(-np.asarray([40.0, 45.0, 50.0]))).sum()
    assert_close(value, exact, rtol=1e-14)
    assert_close(by_emissions[0, 2, 1], -np.exp(-50) / (1 + np.exp(-50)), rtol=1e-13)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"emissions": np.zeros((3, 4))}, tw.ShapeError, r"must have shape \(N, T, K\)"),
        ({"tags": np.zeros((3, 5), int)}, tw.ShapeError, r"tags must have shape \(3, 4\)"),
        ({"transitions": np.zeros((3, 4))}, tw.ShapeError, r"transitions must have shape \(3, 3\)"),
        ({"end_transitions": np.zeros(2)}, tw.ShapeError, r"end_transitions .* \(3,\)"),
        ({"lengths": [4, 5, 1]}, tw.ArgumentError, r"lengths\[1\] is 5, .* 0 to 4"),
        ({"tags": [[0, 1, 3, 0], [0] * 4, [0] * 4]}, tw.LabelError, r"tags\[0, 2\] is 3"),
        ({"tags": np.zeros((3, 4))}, tw.DTypeError, "tags must hold whole numbers"),
    ],
)
def test_crf_refuses(chain, change, error, message):
    arrays, options = chain
    names = ("emissions", "tags", "transitions")
    given = {**dict(zip(names, arrays, strict=True)), **options, **change}
    with pytest.raises(error, match=message):
        tw.crf_nll_loss(**given)
