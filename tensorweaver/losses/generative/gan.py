"""What a critic and a generator make of the critic's scores."""

from __future__ import annotations

from typing import Any

from tensorweaver.backends import array_namespace
from tensorweaver.errors import ArgumentError
from tensorweaver.loss import pointwise

__all__ = ["gan_discriminator_loss", "gan_generator_loss"]

CRITICS = ("non_saturating", "hinge", "least_squares", "wasserstein")
GENERATORS = (*CRITICS, "saturating")


def check_kind(loss: str, kind: Any, known: tuple[str, ...]) -> None:
    """Refuse what is none of the known kinds."""
    if kind not in known:
        names = ", ".join(map(repr, known))
        message = f"{loss}: kind must be one of {names}, got {kind!r}"
        raise ArgumentError(message)


@pointwise(wrt=("real_scores", "fake_scores"))
def gan_discriminator_loss(
    real_scores: Any, fake_scores: Any, *, kind: str = "non_saturating"
) -> Any:
    """Adversarial loss of a discriminator or critic: real samples are to score high, generated ones
    low.

    Formula, by `kind`:

    - `"non_saturating"`: `softplus(-real_scores) + softplus(fake_scores)`;
    - `"hinge"`: `max(0, 1 - real_scores) + max(0, 1 + fake_scores)`;
    - `"least_squares"`: `((real_scores - 1)**2 + fake_scores**2) / 2`;
    - `"wasserstein"`: `fake_scores - real_scores`.

    Shapes: scores of any shape, as many of the one as of the other; `fake_scores` may broadcast.

    Domain: all scores (logits), infinite ones included.

    Gradient: a pair, by the real and by the fake scores; `-sigmoid(-real_scores)` and
    `sigmoid(fake_scores)` if non-saturating. The hinge has slope 0 at its kinks. Hessian: by the
    real scores, `sigmoid(real_scores) sigmoid(-real_scores)`, 0, 1 and 0.

    Numerics: from scores, not from probabilities: `log(1 - sigmoid)` of a certain critic is neither
    0 nor infinite before its time.

    Errors: `ArgumentError` for an unknown kind.

    Same as: twice the mean of `binary_cross_entropy_with_logits_loss` over real and fake samples,
    if non-saturating. Gradient penalties are yours to add.

    Reference: I. Goodfellow et al., Generative Adversarial Networks, 2014; J. H. Lim and J. C. Ye,
    Geometric GAN, 2017; X. Mao et al., Least Squares GAN, 2017; M. Arjovsky et al., Wasserstein
    GAN, 2017.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.gan_discriminator_loss([2.0], [-50.0]).round(6)
    np.float64(0.126928)
    >>> tw.gan_discriminator_loss([2.0, 0.5], [-0.5, -3.0], kind="hinge", reduction="none")
    array([0.5, 0.5])
    """
    check_kind("gan_discriminator_loss", kind, CRITICS)
    xp = array_namespace(real_scores)
    if kind == "hinge":
        return xp.maximum(1.0 - real_scores, 0.0) + xp.maximum(1.0 + fake_scores, 0.0)
    if kind == "least_squares":
        error = real_scores - 1.0
        return (0.5 * error) * error + (0.5 * fake_scores) * fake_scores
    if kind == "wasserstein":
        return fake_scores - real_scores
    return xp.softplus(-real_scores) + xp.softplus(fake_scores)


@pointwise
def gan_generator_loss(fake_scores: Any, *, kind: str = "non_saturating") -> Any:
    """Adversarial loss of a generator: what it makes is to score high with the critic.

    Formula, by `kind`:

    - `"non_saturating"`: `softplus(-fake_scores)`;
    - `"hinge"` and `"wasserstein"`: `-fake_scores`;
    - `"least_squares"`: `(fake_scores - 1)**2 / 2`;
    - `"saturating"`: `-softplus(fake_scores)`, the minimax game's `log(1 - sigmoid)`, whose slope
      vanishes when the critic wins.

    Shapes: scores of any shape.

    Domain: all scores (logits), infinite ones included.

    Gradient: `-sigmoid(-fake_scores)` if non-saturating, `-sigmoid(fake_scores)` if saturating, -1
    or `fake_scores - 1` otherwise. Hessian: `sigmoid(fake_scores) sigmoid(-fake_scores)` if
    non-saturating, and its negative if saturating, 0 or 1 otherwise.

    Errors: `ArgumentError` for an unknown kind.

    Same as: `binary_cross_entropy_with_logits_loss` with targets 1, if non-saturating.

    Reference: as for `gan_discriminator_loss`.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.gan_generator_loss([-50.0, 50.0], reduction="none")
    array([5.00000000e+01, 1.92874985e-22])
    """
    check_kind("gan_generator_loss", kind, GENERATORS)
    xp = array_namespace(fake_scores)
    if kind == "least_squares":
        error = fake_scores - 1.0
        return (0.5 * error) * error
    if kind in {"hinge", "wasserstein"}:
        return -fake_scores
    if kind == "saturating":
        return -xp.softplus(fake_scores)
    return xp.softplus(-fake_scores)
