# SPDX-License-Identifier: Apache-2.0
"""What is found in real word vectors, against exact answers computed by numpy in double precision."""

import numpy as np
import pytest

import words

QUERIES = 100
SEED = 5
K = 10


def sample(data, count=QUERIES):
    return np.random.default_rng(SEED).choice(len(data.keys), count, replace=False)


def test_flat_is_exact(shared, loaded):
    """Distances are true, and the neighbours are those that sorting everything gives; only words whose
    distances differ by less than the rounding of a float may change places."""
    client = shared.redis()
    for row in sample(loaded):
        keys, distances = words.search(client, "flat", loaded.packed(row), K)
        truth = loaded.cosine_distances(row)
        exact = truth[loaded.nearest(row, K)]
        assert len(set(keys)) == K
        assert distances == sorted(distances)
        np.testing.assert_allclose(distances, exact, atol=1e-6)
        np.testing.assert_allclose(truth[[loaded.row[key] for key in keys]], exact, atol=1e-6)


def test_king(shared, loaded):
    client = shared.redis()
    king = client.execute_command("VGET", "flat", "king")
    friends = {b"queen", b"prince"} & set(loaded.keys)
    for index in ("flat", "hnsw"):
        keys, _ = words.search(client, index, king, K)
        assert keys[0] == b"king" and friends <= set(keys)


def test_hnsw_recall(shared, loaded):
    client = shared.redis()
    rows = sample(loaded)
    assert words.recall(client, "hnsw", loaded, rows, K) >= 0.95
    low, high = (words.recall(client, "hnsw", loaded, rows, K, "EF", ef) for ef in (12, 200))
    assert low <= high and high >= 0.99


def test_batches_answer_as_single_searches(shared, loaded):
    client = shared.redis()
    queries = [loaded.packed(row) for row in sample(loaded)]
    for index in ("flat", "hnsw"):
        together = client.execute_command("VMSEARCH", index, K, *queries)
        alone = [client.execute_command("VSEARCH", index, query, K) for query in queries]
        for one, other in zip(together, alone):
            assert one[::2] == other[::2]
            assert [float(d) for d in one[1::2]] == pytest.approx(
                [float(d) for d in other[1::2]], abs=1e-6
            )


def memory_bytes(client, index, size):
    """What an index occupies, which must hold `size` vectors."""
    reply = client.execute_command("VINFO", index)
    info = dict(zip(reply[::2], reply[1::2]))
    assert info[b"size"] == size
    return info[b"memory-bytes"]


@pytest.mark.long
def test_deleting_and_adding_again(shared, loaded):
    """Half of the words go and come back several times: recall stays that of a fresh index, a deleted
    word is never found, and memory is bounded (the place of an erased word is free again only when its
    neighbours have been reconnected, in the background)."""
    client = shared.redis()
    rows = sample(loaded)
    fresh = words.recall(client, "hnsw", loaded, rows, K)
    words.fill(client, "churned", loaded)
    fresh_bytes = memory_bytes(client, "churned", len(loaded.keys))
    half = np.random.default_rng(SEED).permutation(len(loaded.keys))[::2]
    for _ in range(4):
        pipeline = client.pipeline(transaction=False)
        for row in half:
            pipeline.execute_command("VDEL", "churned", loaded.keys[row])
        assert sum(pipeline.execute()) == len(half)
        gone = {loaded.keys[row] for row in half}
        for row in rows[:20]:
            assert not gone & set(words.search(client, "churned", loaded.packed(row), K)[0])
        assert words.put(client, "churned", loaded, half) == len(half)
        assert memory_bytes(client, "churned", len(loaded.keys)) <= 2.1 * fresh_bytes
    assert words.recall(client, "churned", loaded, rows, K) == pytest.approx(fresh, abs=0.02)


def test_scalar_kernels_give_the_same_answers(shared, loaded, start):
    client, scalar = shared.redis(), start("--kernel", "scalar").redis()
    words.fill(scalar, "flat", loaded, "PRIMITIVE", "flat")
    for row in sample(loaded, 30):
        _, fast = words.search(client, "flat", loaded.packed(row), K)
        _, slow = words.search(scalar, "flat", loaded.packed(row), K)
        np.testing.assert_allclose(fast, slow, atol=1e-5)
