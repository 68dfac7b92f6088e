"""Normal forms of ids: spellings of one person agree, and a normal form is its own normal form."""

from __future__ import annotations

import re
import time

import phonenumbers
import pyarrow as pa
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from xstat_ray.inputs.ids import normalise
from xstat_ray.inputs.phone_numbers import in_e164_of, to_e164
from xstat_ray.inputs.text_index import to_bytes
from xstat_ray.model.study import IdForm

FORMS = ["exact", "text", "email", "phone", "sha256"]


def normal(value: str | None, form: IdForm, region: str | None = "JP") -> str | None:
    result: str | None = normalise(pa.array([value], pa.string()), form, region)[0].as_py()
    return result


@pytest.mark.parametrize(
    ("form", "value", "expected"),
    [
        ("exact", " N123 ", " N123 "),
        ("exact", "０1", "０1"),
        ("exact", "", None),
        ("exact", "p\0", None),
        ("exact", "\0p", None),
        ("exact", "p\nq", "p\nq"),
        ("text", "p\0\0", None),
        ("text", "\0", None),
        ("email", "a@b.jp\0", None),
        ("phone", "+819012345678\0", None),
        ("exact", None, None),
        ("text", "  ＡＢＣ Straße\t", "abc strasse"),
        ("text", "ﾔﾏﾀﾞ 太郎", "ヤマダ 太郎"),
        ("text", " N14228 ", "n14228"),
        ("text", " \u3000 ", None),
        ("email", " Ana.B@Example.COM ", "ana.b@example.com"),
        ("email", "ａ＠ｂ．ｊｐ", "a@b.jp"),
        ("email", "a@b", None),
        ("email", "a b@c.jp", None),
        ("email", "a@b@c.jp", None),
        ("email", "a@b..jp", None),
        ("email", None, None),
        ("phone", "not a number", None),
        ("phone", "12", None),
        ("phone", "+999123456789", None),
        ("phone", "+81901234567890123", None),
        ("phone", "090-1234-5678 ext. 5", None),
        ("phone", "", None),
        ("phone", None, None),
    ],
)
def test_normal_form(form, value, expected):
    assert normal(value, form) == expected


@pytest.mark.parametrize(
    "spelling",
    [
        "090-1234-5678",
        "+81 90 1234 5678",
        "０９０１２３４５６７８",
        "+81(0)90-1234-5678",
        "＋８１９０１２３４５６７８",
        "+8109012345678",
        "+819012345678",
    ],
)
def test_spellings_of_one_phone_number_agree(spelling):
    assert normal(spelling, "phone") == "+819012345678"


def test_national_numbers_need_a_region():
    assert normal("090-1234-5678", "phone", None) is None
    assert normal("+81 90-1234-5678", "phone", None) == "+819012345678"


def test_order_and_nulls_are_kept_across_both_paths():
    values = pa.array(["+819012345678", None, "03-1234-5678", "x", "+14155550123"])
    assert normalise(values, "phone", "JP").to_pylist() == [
        "+819012345678",
        None,
        "+81312345678",
        None,
        "+14155550123",
    ]
    mixed = pa.array(["B", None, "Ｃ", "", "É"])
    assert normalise(mixed, "text").to_pylist() == ["b", None, "c", None, "é"]


@pytest.mark.parametrize("form", FORMS)
def test_no_values(form):
    assert normalise(pa.array([], pa.string()), form, "JP").to_pylist() == []


@pytest.mark.parametrize("form", FORMS)
@given(
    values=st.lists(
        st.none() | st.text() | st.from_regex(r"\A\+?[0-9０-９() -]{3,16}\Z") | st.emails(),
        max_size=8,
    )
)
def test_a_normal_form_is_its_own_normal_form(form, values):
    once = normalise(pa.array(values, pa.string()), form, "JP")
    assert normalise(once, form, "JP").equals(once)
    assert not any(value == "" for value in once.to_pylist())


codes = st.sampled_from(sorted(phonenumbers.COUNTRY_CODE_TO_REGION_CODE))


@given(
    numbers=st.lists(
        st.builds("+{}{}".format, codes, st.from_regex(r"\A[0-9]{4,12}\Z")), min_size=1, max_size=20
    )
)
def test_the_fast_path_agrees_with_the_parser(numbers):
    for number, fast in zip(numbers, to_e164(pa.array(numbers), None).to_pylist(), strict=True):
        slow = e164_by_parser(number)
        # The parser's form of a number may itself be read as another number; then there is no
        # normal form.
        assert fast == (slow if slow is not None and e164_by_parser(slow) == slow else None)


def e164_by_parser(number: str) -> str | None:
    """The E.164 form that the parser gives, None where it gives none."""
    try:
        parsed = phonenumbers.parse(number, None)
    except phonenumbers.NumberParseException:
        return None
    if (
        phonenumbers.is_possible_number_with_reason(parsed)
        != phonenumbers.ValidationResult.IS_POSSIBLE
    ):
        return None
    region = phonenumbers.region_code_for_country_code(parsed.country_code)
    metadata = phonenumbers.PhoneMetadata.metadata_for_region_or_calling_code(
        parsed.country_code, region
    )
    shape = metadata.general_desc.national_number_pattern
    if not re.fullmatch(shape, phonenumbers.national_significant_number(parsed)):
        return None
    text = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
    return text if len(text) <= 16 else None


def test_example_numbers_of_every_region_have_a_normal_form():
    examples = [phonenumbers.example_number(region) for region in phonenumbers.SUPPORTED_REGIONS]
    numbers = [
        phonenumbers.format_number(n, phonenumbers.PhoneNumberFormat.E164)
        for n in examples
        if n is not None
    ]
    assert to_e164(pa.array(numbers), None).to_pylist() == numbers


def test_numbers_in_e164_take_microseconds_each():
    numbers = pa.array([f"+8190{n:08}" for n in range(200_000)])
    begin = time.perf_counter()
    assert normalise(numbers, "phone", "JP").equals(numbers)
    # Measured at 1 microsecond each; parsing takes 30.
    assert time.perf_counter() - begin < 3


@given(
    st.lists(st.text(st.sampled_from("pq\0\n "), max_size=4), max_size=20), st.sampled_from(FORMS)
)
def test_two_rows_are_one_person_exactly_if_their_normal_forms_are_the_same_bytes(
    values: list[str], form: IdForm
) -> None:
    """Whichever way a normal form goes on: as text, or as bytes of one width."""
    normal_forms = normalise(pa.array(values, pa.string()), form, "JP").drop_null()
    texts = normal_forms.to_pylist()
    as_bytes = to_bytes(normal_forms).tolist()
    assert as_bytes == [text.encode() for text in texts]


@pytest.mark.parametrize(
    ("form", "written", "expected"),
    [
        ("text", "Ann\u200b", "ann"),
        ("text", "\ufeffBob\u00a0", "bob"),
        ("text", "123.0", "123"),
        ("text", "1.23E+02", "123"),
        ("text", "1.2E+05", None),
        ("text", "12E5", "12e5"),
        ("text", "7\ufffd", None),
        ("text", "--", None),
        ("exact", "Ann\u200b", None),
        ("exact", "123.0", None),
        ("exact", "1.2E+05", None),
        ("exact", "12E5", "12E5"),
        ("exact", "'0123", None),
        ("exact", '="0123"', None),
        ("exact", "1.23E2", None),
        ("text", "'0123", "0123"),
        ("text", '="0123"', "0123"),
        ("text", "1.23E2", "123"),
        ("text", "1.2345678901234568e+16", None),
        ("text", "9007199254740993.0", None),
        ("text", "'ann'", None),
        ("text", '"ann"', None),
        ("text", "\u2018ann\u2019", None),
        ("text", "'t Hooft", "'t hooft"),
        ("text", "O'Brien", "o'brien"),
        ("text", "1,234", None),
        ("text", "1,234.0", None),
        ("text", "12,34", "12,34"),
        ("text", "9,01111E+09", None),
        ("email", "'ann@example.jp", None),
        ("email", "o'brien@example.jp", "o'brien@example.jp"),
        ("phone", "'09012345678", "+819012345678"),
        ("phone", '="09012345678"', "+819012345678"),
        ("phone", "'09012345678'", None),
        ("exact", "007", "007"),
        ("email", "ann@example.jp\u200b", "ann@example.jp"),
        ("email", "\ufeffmailto:Ann@example.jp?subject=x", "ann@example.jp"),
        ("email", "mailto:mailto:a@b.jp", None),
        ("email", "Ann <ann@example.jp>", None),
        ("email", "<ann@example.jp>", None),
        ("email", "ann@example.jp;bob@example.jp", None),
        ("email", "ann@example.jp,", None),
        ("email", "SMTP:ann@example.jp", None),
        ("email", "a..b.@docomo.ne.jp", "a..b.@docomo.ne.jp"),
        ("phone", "9012345678.0", "+819012345678"),
        ("phone", "9012345678", "+819012345678"),
        ("phone", "90-1234-5678", "+819012345678"),
        ("phone", "312345678", "+81312345678"),
        ("phone", "819012345678", "+819012345678"),
        ("phone", "9.012345678E+09", "+819012345678"),
        ("phone", "9.012345678E9", "+819012345678"),
        ("phone", "8.19012345678E+11", "+819012345678"),
        ("phone", "9.01235E+09", None),
        ("phone", "9012345678.5", None),
        ("phone", "090-1234-5678.0", None),
        ("phone", "090-1234-5678 / 011-222-3333", None),
        ("phone", "090-1234-5678/2", None),
        ("phone", "090-1234-5678 (2)", None),
        ("phone", "090-1234-5678~9", None),
        ("phone", "090-1234-56789", None),
        ("phone", "+8190123456780", None),
        ("phone", "9,012,345,678", None),
        ("phone", "-9012345678", None),
        ("phone", "0120-CALL-NOW", None),
        ("phone", "tel:090-1234-5678", "+819012345678"),
        ("phone", "TEL: +81-90-1234-5678\u200e", "+819012345678"),
        ("phone", "\u202d090‐1234ー5678\u202c", "+819012345678"),
        ("phone", "(090) 1234.5678", "+819012345678"),
        ("phone", "010-81-90-1234-5678", "+819012345678"),
        ("phone", "٠٩٠١٢٣٤٥٦٧٨", "+819012345678"),
        ("sha256", "AB" * 32, "ab" * 32),
        ("sha256", f" {'0f' * 32} ", "0f" * 32),
        ("sha256", "ab" * 31, None),
        ("sha256", "0x" + "ab" * 32, None),
        ("sha256", "ann@example.jp", None),
    ],
)
def test_ids_as_tools_write_them(form, written, expected):
    assert normal(written, form) == expected


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "word",
    ["nan", "NaN", "None", "NULL", "null", "NA", "N/A", "<NA>", "#N/A", "\\N", " nan ", "NaT"],
)
def test_a_word_for_nothing_is_nobody(form, word):
    assert normal(word, form) is None


@given(
    st.from_regex(r"\A(0|)[1-9][0-9]{7,10}\Z"),
    st.lists(st.sampled_from(["", " ", "-", ".", "(", ")", "ー"]), min_size=13, max_size=13),
)
def test_japanese_numbers_are_turned_into_e164_as_the_parser_does(digits, between):
    """The fast path for what most tables hold, beside the parser number by number."""
    written = "".join(map("".join, zip(digits, between, strict=False)))
    # So a spreadsheet writes a whole number.
    assume(not written.endswith(".0"))
    plain = to_e164(pa.array([digits]), "JP")[0].as_py()
    try:
        parsed = phonenumbers.parse(digits, "JP")
        expected = e164_by_parser(f"+{parsed.country_code}{parsed.national_number}")
    except phonenumbers.NumberParseException:
        expected = None
    assert plain == expected
    # What is between the digits changes nothing, unless it looks like a fraction or a second number.
    assert to_e164(pa.array([written]), "JP")[0].as_py() in (plain, None)


def test_a_million_numbers_as_people_write_them_take_seconds():
    numbers = pa.array([f"090-{n // 10_000:04}-{n % 10_000:04}" for n in range(200_000)])
    begin = time.perf_counter()
    assert normalise(numbers, "phone", "JP").null_count < len(numbers)
    # Parsing would take 6 seconds.
    assert time.perf_counter() - begin < 3


calling_codes = st.sampled_from(["81", "1", "39", "54", "49", "800", "99"])
regions = st.sampled_from(["JP", "US", "CA", "IT", "AR", "DE", "ZZ", None])


@given(
    regions,
    st.lists(
        st.none()
        | st.builds("+{}{}".format, calling_codes, st.from_regex(r"\A[0-9]{4,14}[ x０\n]?\Z"))
        | st.from_regex(r"\A\+?[0-9]{3,16}\Z"),
        max_size=20,
    ),
)
def test_numbers_in_e164_of_a_country_are_left_as_they_are(region, numbers):
    written = pa.array(numbers, pa.string())
    for number, known, found in zip(
        numbers, in_e164_of(region, written), to_e164(written, region).to_pylist(), strict=True
    ):
        assert found == number or not known


def test_most_numbers_of_a_country_are_known_at_once():
    numbers = pa.array(["+819012345678", "+81312345678", "+81090123456", "+14155550123", None])
    assert in_e164_of("JP", numbers).tolist() == [True, True, False, False, False]
