"""The same numbers as other libraries have, where these are right."""

import importlib.util

import numpy as np
import pytest

from tests.battery.specimen import cases

pytestmark = pytest.mark.frameworks

PAIRS = [
    pytest.param(case, peer, id=f"{case.id}-{peer.library}{i or ''}")
    for case in cases()
    for i, peer in enumerate(case.specimen.peers)
    if peer.only(case.options) and not case.with_arrays
]


@pytest.mark.parametrize(("case", "peer"), PAIRS)
def test_peers_agree(case, peer, random):
    if importlib.util.find_spec(peer.library) is None:
        pytest.skip(f"{peer.library} is not installed")
    arrays, options = case.draw(random)
    want = np.asarray(peer.call(*arrays, **options))
    got = case.loss(*arrays, reduction="none", **options)
    np.testing.assert_allclose(got, want, rtol=peer.rtol, atol=peer.rtol)
