from __future__ import annotations

import copy
import json
import pickle
import runpy
from pathlib import Path

import numpy as np
import phe
import pytest
from gmpy2 import invert, mpz, powmod
from hypothesis import given
from hypothesis import strategies as st

from tests.sizes import first
from xstat_ray.crypto.kernels.choice import kernel
from xstat_ray.crypto.paillier import (
    OwnerEncryptor,
    PrivateKey,
    PublicEncryptor,
    PublicKey,
    check_group,
)
from xstat_ray.crypto.sums import accumulate, multiply
from xstat_ray.errors import ProtocolError
from xstat_ray.util.threads import VARIABLE

PATH = Path(__file__).parents[1] / "vectors"
VECTORS = json.loads((PATH / "paillier.json").read_text())
GOOD = VECTORS["good"]
BAD = VECTORS["bad"]


constant_time = pytest.mark.skipif(
    not kernel().constant_time, reason=f"the kernel {kernel().name} has no constant time"
)


def octets(*texts: str) -> np.ndarray:
    return np.array([list(bytes.fromhex(text)) for text in texts], np.uint8)


def rows(values: list[int], width: int) -> np.ndarray:
    return np.array([list(int(value).to_bytes(width, "little")) for value in values], np.uint8)


def values(rows: np.ndarray) -> list[int]:
    return [int.from_bytes(row.tobytes(), "little") for row in rows]


def numbers(cases: list[dict[str, str]], field: str) -> list[int]:
    return [int(case[field], 16) for case in cases]


def random_messages(seed: int, count: int, public: PublicKey) -> list[int]:
    data = np.random.default_rng(seed).bytes(count * 256)
    return [
        int.from_bytes(data[at : at + 256], "little") % int(public.n)
        for at in range(0, len(data), 256)
    ]


def edges(public: PublicKey) -> list[int]:
    n = int(public.n)
    return [
        0,
        1,
        n - 1,
        2,
        n - 2,
        n // 2,
        n // 2 + 1,
        1 << (public.key_bits - 1),
        *random_messages(1, 4, public),
    ]


@pytest.fixture(scope="module")
def fixed_key() -> PrivateKey:
    parts = {name: mpz(VECTORS["key"][name], 16) for name in ("p", "q", "alpha", "beta", "y")}
    return PrivateKey(**parts)


@pytest.fixture(scope="module")
def owner(private_key: PrivateKey) -> OwnerEncryptor:
    return OwnerEncryptor(private_key, 500)


@pytest.fixture(scope="module")
def anyone(private_key: PrivateKey) -> PublicEncryptor:
    return PublicEncryptor(private_key.public, 500)


@pytest.fixture(scope="module")
def stock(private_key: PrivateKey) -> tuple[phe.PaillierPublicKey, phe.PaillierPrivateKey]:
    """The private key as an object of `phe`."""
    public = phe.PaillierPublicKey(int(private_key.public.n))
    return public, phe.PaillierPrivateKey(public, int(private_key.p), int(private_key.q))


# Vectors


def test_the_vector_file_is_complete() -> None:
    assert len(GOOD["owner"]) >= 24
    assert len(GOOD["public"]) >= 8
    assert sum(len(cases) for cases in BAD.values()) >= 28
    assert runpy.run_path(str(PATH / "make_paillier.py"))["vectors"]() == VECTORS


def test_the_key_of_the_vectors(fixed_key: PrivateKey) -> None:
    assert fixed_key.public.n == mpz(VECTORS["key"]["n"], 16)
    assert fixed_key.public.encode().hex() == VECTORS["public_key"]
    assert PublicKey.decode(bytes.fromhex(VECTORS["public_key"])) == fixed_key.public


@pytest.mark.parametrize("planned", [1, 24, 2000])
def test_the_owner_encrypts_as_the_vectors(planned: int, fixed_key: PrivateKey) -> None:
    cases = GOOD["owner"]
    exponents = rows(numbers(cases, "r_alpha"), 28), rows(numbers(cases, "r_beta"), 28)
    encrypted = OwnerEncryptor(fixed_key, planned).encrypt(numbers(cases, "m"), exponents)
    assert (encrypted.dtype, encrypted.shape) == (np.uint8, (len(cases), 512))
    assert [row.tobytes().hex() for row in encrypted] == [case["row"] for case in cases]


@pytest.mark.parametrize("planned", [1, 2000])
def test_anyone_encrypts_as_the_vectors(planned: int, fixed_key: PrivateKey) -> None:
    cases = GOOD["public"]
    encrypted = PublicEncryptor(fixed_key.public, planned).encrypt(
        numbers(cases, "m"), rows(numbers(cases, "r"), 64)
    )
    assert (encrypted.dtype, encrypted.shape) == (np.uint8, (len(cases), 512))
    assert [row.tobytes().hex() for row in encrypted] == [case["row"] for case in cases]


@pytest.mark.parametrize("kind", ["owner", "public", "stock", "sums"])
def test_ciphertexts_of_the_vectors_open(kind: str, fixed_key: PrivateKey) -> None:
    encrypted = octets(*(case["row"] for case in GOOD[kind]))
    messages = numbers(GOOD[kind], "m")
    assert fixed_key.decrypt(encrypted) == messages


@pytest.mark.parametrize("case", BAD["ciphertexts"], ids=lambda case: case["why"])
def test_corrupt_ciphertexts_are_refused_with_their_row(
    case: dict[str, str], fixed_key: PrivateKey
) -> None:
    good = GOOD["owner"][0]["row"]
    for row in range(3):
        encrypted = octets(*[case["row"] if i == row else good for i in range(3)])
        with pytest.raises(
            ProtocolError, match=f"^row {row} is not a ciphertext: {case['problem']}"
        ):
            fixed_key.decrypt(encrypted)


def test_two_halves_of_n_are_both_refused(fixed_key: PrivateKey) -> None:
    # Their product is a multiple of n, so the check of all rows at once must not see zero as
    # harmless.
    with pytest.raises(ProtocolError, match="^row 1 is not a ciphertext: not coprime"):
        check_group(fixed_key.public, [mpz(5), fixed_key.p, fixed_key.q])
    check_group(fixed_key.public, [mpz(5), fixed_key.public.n2 - 1, mpz(1)])


@pytest.mark.parametrize("case", BAD["messages"], ids=lambda case: case["why"])
def test_messages_out_of_range_are_refused(case: dict[str, str], fixed_key: PrivateKey) -> None:
    message = int(case["m"], 16)
    for encryptor in (OwnerEncryptor(fixed_key, 1), PublicEncryptor(fixed_key.public, 1)):
        with pytest.raises(ValueError, match=r"^a message is not in \[0, n\)$"):
            encryptor.encrypt([1, message])
    with pytest.raises(ValueError, match=r"^a message is not in \[0, n\)$"):
        OwnerEncryptor(fixed_key, 1).encrypt_indexed([1, message], np.array([0]))


@pytest.mark.parametrize("case", BAD["public_keys"], ids=lambda case: case["why"])
def test_implausible_public_keys_are_refused(case: dict[str, str]) -> None:
    with pytest.raises(ProtocolError, match=f"the public key.*{case['problem']}"):
        PublicKey.decode(bytes.fromhex(case["key"]))


# Fresh keys of every size against pow


@pytest.mark.parametrize("fixture", ["private_key", "private_key_3072"])
def test_the_owner_encrypts_as_pow(fixture: str, request: pytest.FixtureRequest) -> None:
    key: PrivateKey = request.getfixturevalue(fixture)
    n = int(key.public.n)
    n2 = int(key.public.n) ** 2
    h = int(key.public.h)
    alpha = int(key.alpha)
    beta = int(key.beta)
    messages = [0, 1, n - 1, n // 3]
    pairs = [(a, b) for a in (0, 1, alpha - 1, alpha // 3) for b in (0, 1, beta - 1, beta // 5)]
    width = -(-alpha.bit_length() // 8)
    exponents = rows([a for a, _ in pairs], width), rows([b for _, b in pairs], width)
    encrypted = OwnerEncryptor(key, 16).encrypt(
        [messages[i // 4 ^ i % 4] for i in range(16)], exponents
    )
    expected = []
    for i, (a, b) in enumerate(pairs):
        r = (a * beta * pow(beta, -1, alpha) + b * alpha * pow(alpha, -1, beta)) % (alpha * beta)
        expected.append((1 + messages[i // 4 ^ i % 4] * n) * pow(h, r, n2) % n2)
    assert encrypted.shape == (16, key.public.key_bits // 4)
    assert values(encrypted) == expected


@pytest.mark.parametrize("fixture", ["private_key", "private_key_3072"])
def test_anyone_encrypts_as_pow(fixture: str, request: pytest.FixtureRequest) -> None:
    key: PrivateKey = request.getfixturevalue(fixture)
    n = int(key.public.n)
    n2 = int(key.public.n) ** 2
    h = int(key.public.h)
    bits = 2 * int(key.alpha).bit_length() + 64
    exponents = [
        0,
        1,
        int(key.alpha) - 1,
        (1 << bits) - 1,
        int(key.alpha * key.beta),
        3 << bits - 2,
    ]
    messages = [0, 1, n - 1, 1, n - 1, n // 7]
    encrypted = PublicEncryptor(key.public, 6).encrypt(messages, rows(exponents, bits // 8))
    assert values(encrypted) == [
        (1 + m * n) * pow(h, r, n2) % n2 for m, r in zip(messages, exponents, strict=True)
    ]


@given(st.data())
def test_the_owner_encrypts_any_message_as_pow(
    owner: OwnerEncryptor, private_key: PrivateKey, data: st.DataObject
) -> None:
    n = private_key.public.n
    n2 = private_key.public.n2
    alpha = private_key.alpha
    beta = private_key.beta
    m = data.draw(st.integers(0, int(n) - 1))
    # The same exponent for both primes is the exponent itself, as long as it is below both orders.
    r = data.draw(st.integers(0, int(min(alpha, beta)) - 1))
    encrypted = owner.encrypt([m], (rows([r], 28), rows([r], 28)))
    assert values(encrypted) == [(1 + m * n) * powmod(private_key.public.h, r, n2) % n2]


def test_encrypting_by_index_is_encrypting(owner: OwnerEncryptor, private_key: PrivateKey) -> None:
    messages = edges(private_key.public)
    index = np.array([3, 0, 0, 11, 3, 2, 1], np.int32)
    exponents = rows(list(range(1, 8)), 28), rows(list(range(11, 18)), 28)
    by_index = owner.encrypt_indexed(messages, index, exponents)
    assert np.array_equal(by_index, owner.encrypt([messages[i] for i in index], exponents))
    fresh = owner.encrypt_indexed(messages, index)
    assert private_key.decrypt(fresh) == [messages[i] for i in index]
    assert len(np.unique(fresh, axis=0)) == len(index)


@pytest.mark.parametrize("row", [-1, 2, 2**40])
def test_a_message_that_does_not_exist_is_refused(row: int, owner: OwnerEncryptor) -> None:
    with pytest.raises(IndexError, match=f"there is no row {row}, but 2 rows"):
        owner.encrypt_indexed([5, 6], np.array([0, row]))


@pytest.mark.parametrize("width", [27, 29, 64])
def test_randomness_of_another_shape_is_refused(
    width: int, owner: OwnerEncryptor, anyone: PublicEncryptor
) -> None:
    wrong = np.zeros((2, width), np.uint8)
    right = np.zeros((2, 28), np.uint8)
    for by_p, by_q in (
        (wrong, right),
        (right, wrong),
        (right[:1], right),
        (right.astype(np.int8), right),
    ):
        with pytest.raises(ValueError, match="exponents of 224 bits"):
            owner.encrypt([1, 2], (by_p, by_q))
    with pytest.raises(ValueError, match="exponents of 512 bits"):
        anyone.encrypt([1, 2, 3], np.zeros((3, width + 1), np.uint8))


def test_threads_share_one_encryptor(
    owner: OwnerEncryptor,
    anyone: PublicEncryptor,
    private_key: PrivateKey,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    messages = list(range(300))
    draw = np.random.default_rng(1)
    by_p, by_q, exponents = (
        draw.integers(0, 256, (300, width), np.uint8) for width in (28, 28, 64)
    )
    made = []
    for threads in (1, 3):
        monkeypatch.setattr("xstat_ray.util.threads.thread_count", lambda count=threads: count)
        encrypted = owner.encrypt(messages, (by_p, by_q)), anyone.encrypt(messages, exponents)
        assert private_key.decrypt(encrypted[1]) == messages
        made.append(encrypted)
    assert all(np.array_equal(one, other) for one, other in zip(*made, strict=True))


@constant_time
def test_constant_time_changes_no_ciphertext(private_key: PrivateKey) -> None:
    parts = {name: getattr(private_key, name) for name in ("p", "q", "alpha", "beta", "y")}
    careful = PrivateKey(**parts, constant_time=True)
    assert PrivateKey.from_bytes(careful.export_bytes()).constant_time
    assert not PrivateKey.from_bytes(private_key.export_bytes()).constant_time
    draw = np.random.default_rng(2)
    messages = edges(private_key.public)
    randomness = tuple(draw.integers(0, 256, (len(messages), 28), np.uint8) for _ in range(2))
    encrypted = OwnerEncryptor(careful, 10).encrypt(messages, randomness)
    assert np.array_equal(encrypted, OwnerEncryptor(private_key, 10).encrypt(messages, randomness))
    assert careful.decrypt(encrypted) == messages
    exponents = draw.integers(0, 256, (len(messages), 64), np.uint8)
    made = [
        PublicEncryptor(private_key.public, 10, careful).encrypt(messages, exponents)
        for careful in (False, True)
    ]
    assert np.array_equal(*made)


def test_no_messages_make_no_rows(
    owner: OwnerEncryptor, anyone: PublicEncryptor, private_key: PrivateKey
) -> None:
    for encrypted in (
        owner.encrypt([]),
        anyone.encrypt([]),
        owner.encrypt_indexed([1, 2], np.array([], np.int64)),
    ):
        assert encrypted.shape == (0, 512)
        assert private_key.decrypt(encrypted) == []


def test_randomness_is_fresh_and_in_the_subgroup(
    owner: OwnerEncryptor, anyone: PublicEncryptor, private_key: PrivateKey
) -> None:
    n = private_key.public.n
    n2 = private_key.public.n2
    order = private_key.alpha * private_key.beta
    made = [values(encryptor.encrypt([7] * 10)) for encryptor in (owner, anyone) for _ in range(2)]
    masks = [value * powmod(1 + 7 * n, -1, n2) % n2 for batch in made for value in batch]
    assert len(set(masks)) == 40
    assert all(powmod(mask, order, n2) == 1 for mask in masks)
    assert not any(
        1 in (powmod(mask, private_key.alpha, n2), powmod(mask, private_key.beta, n2))
        for mask in masks
    )


def test_the_owner_draws_exponents_modulo_both_orders(
    monkeypatch: pytest.MonkeyPatch, private_key: PrivateKey
) -> None:
    drawn: list[tuple[int, int]] = []

    def draw(bound: int, count: int) -> np.ndarray:
        drawn.append((bound, count))
        return np.zeros((count, -(-(bound - 1).bit_length() // 8)), np.uint8)

    monkeypatch.setattr("xstat_ray.crypto.paillier.uniform_below", draw)
    OwnerEncryptor(private_key, 1).encrypt([1, 2, 3])
    PublicEncryptor(private_key.public, 1).encrypt([1, 2])
    assert drawn == [(private_key.alpha, 3), (private_key.beta, 3), (2**512, 2)]


@pytest.mark.parametrize("fixture", ["private_key", "private_key_3072"])
def test_edge_values_open(fixture: str, request: pytest.FixtureRequest) -> None:
    key: PrivateKey = request.getfixturevalue(fixture)
    messages = edges(key.public)
    for encryptor in (OwnerEncryptor(key, 1), PublicEncryptor(key.public, 1)):
        encrypted = encryptor.encrypt(messages)
        assert key.decrypt(encrypted) == messages


# phe, both ways


def check_phe_opens_ours(
    stock: tuple, encryptor: OwnerEncryptor | PublicEncryptor, messages: list[int]
) -> None:
    assert [
        stock[1].raw_decrypt(value) for value in values(encryptor.encrypt(messages))
    ] == messages


def check_we_open_phe(stock: tuple, key: PrivateKey, messages: list[int]) -> None:
    encrypted = rows([stock[0].raw_encrypt(message) for message in messages], key.public.width)
    assert key.decrypt(encrypted) == messages


def test_phe_opens_ours(
    stock: tuple, owner: OwnerEncryptor, anyone: PublicEncryptor, private_key: PrivateKey
) -> None:
    check_phe_opens_ours(stock, owner, random_messages(2, 200, private_key.public))
    check_phe_opens_ours(stock, owner, edges(private_key.public))
    check_phe_opens_ours(stock, anyone, edges(private_key.public))


def test_we_open_those_of_phe(stock: tuple, private_key: PrivateKey) -> None:
    check_we_open_phe(stock, private_key, random_messages(3, 200, private_key.public))
    check_we_open_phe(stock, private_key, edges(private_key.public))


@pytest.mark.slow
def test_phe_opens_ten_thousand_of_ours(
    stock: tuple, owner: OwnerEncryptor, private_key: PrivateKey
) -> None:
    check_phe_opens_ours(stock, owner, random_messages(4, 10_000, private_key.public))


@pytest.mark.slow
def test_we_open_five_hundred_of_phe(stock: tuple, private_key: PrivateKey) -> None:
    check_we_open_phe(stock, private_key, random_messages(5, 500, private_key.public))


@pytest.mark.parametrize("threads", first(1, ["1", "2"]))
def test_whatever_the_randomness_each_number_is_opened(
    threads: str, owner: OwnerEncryptor, private_key: PrivateKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, threads)
    good = owner.encrypt(range(130))
    public = private_key.public
    full = powmod(12345, public.n, public.n2)
    p2_multiple = private_key.q2 * invert(private_key.q2, private_key.p2)
    # Randomness of full size; the same modulo p alone or q alone; and -1, of order 2.
    only_p = (1 + (full - 1) * p2_multiple) % public.n2
    only_q = (full + (1 - full) * p2_multiple) % public.n2
    for factor in (full, only_p, only_q, public.n2 - 1):
        changed = good.copy()
        for row in (0, 129):
            value = values(good[row : row + 1])[0] * factor % public.n2
            changed[row] = rows([value], public.width)[0]
        assert private_key.decrypt(changed) == list(range(130))


def test_sums_of_phe_and_ours_are_the_same(
    stock: tuple, owner: OwnerEncryptor, private_key: PrivateKey
) -> None:
    public, private = stock
    ours = owner.encrypt([10, 200, 3000, 0])
    total = sum(
        (phe.EncryptedNumber(public, value) for value in values(ours)[1:]),
        phe.EncryptedNumber(public, values(ours)[0]),
    )
    assert private.decrypt(total) == 3210
    added = accumulate(private_key.public, ours, np.arange(4), np.array([0]))
    assert values(added) == [total.ciphertext(be_secure=False)]
    theirs = rows([public.encrypt(-4).ciphertext()], private_key.public.width)
    both = multiply(private_key.public, added, theirs)
    assert private.decrypt(phe.EncryptedNumber(public, values(both)[0])) == 3206
    assert private_key.decrypt(both) == [3206]


# Keys that travel, and keys that do not


@pytest.mark.parametrize("fixture", ["private_key", "private_key_3072"])
def test_public_keys_travel(fixture: str, request: pytest.FixtureRequest) -> None:
    public: PublicKey = request.getfixturevalue(fixture).public
    encoded = public.encode()
    assert encoded == int(public.n).to_bytes(public.key_bits // 8, "little") + int(
        public.h
    ).to_bytes(public.width, "little")
    for other in (
        PublicKey.decode(encoded),
        pickle.loads(pickle.dumps(public)),
        copy.deepcopy(public),
    ):
        assert other == public
        assert other.n2 == int(public.n) ** 2
        assert hash(other) == hash(public)


def test_private_keys_travel_only_by_their_named_export(private_key: PrivateKey) -> None:
    again = PrivateKey.from_bytes(private_key.export_bytes())
    assert again.export_bytes() == private_key.export_bytes()
    assert again.public == private_key.public
    assert (again.p, again.q) == (private_key.p, private_key.q)
    assert (again.alpha, again.beta) == (private_key.alpha, private_key.beta)
    assert again.y == private_key.y
    assert again.decrypt(OwnerEncryptor(again, 1).encrypt([42])) == [42]


@pytest.mark.parametrize("kind", ["key", "encryptor"])
def test_secrets_refuse_to_travel_and_to_print(
    kind: str, private_key: PrivateKey, owner: OwnerEncryptor
) -> None:
    secret = private_key if kind == "key" else owner
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(TypeError, match="refuses to travel"):
            pickle.dumps([secret], protocol)
    for travel in (copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="refuses to travel"):
            travel(secret)
    name = type(secret).__name__
    assert repr(secret) == str(secret) == f"{secret}" == format(secret) == f"<{name} redacted>"
    shown = f"{secret} {secret!r} {[secret]} { ({'key': secret}) }"
    for number in (private_key.p, private_key.q, private_key.alpha, private_key.beta):
        assert str(number)[:12] not in shown
        assert f"{int(number):x}"[:12] not in shown


def test_errors_of_a_key_show_none_of_its_digits(private_key: PrivateKey) -> None:
    for wrong in (private_key.p, private_key.q):
        with pytest.raises(ProtocolError) as caught:
            private_key.decrypt(rows([wrong], 512))
        assert str(caught.value) == "row 0 is not a ciphertext: not coprime to the modulus"
