"""Every word of the pages has a translation, and a faulty file is named."""

from __future__ import annotations

import re
import string
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.frontend import CommandLineInterface
from babel.messages.pofile import read_po

from sreval.errors import DataError
from sreval.site.app import catalogues, own_names
from tests.site.conftest import LANGUAGES, TRANSLATIONS


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    """Every msgid of the templates and of the site's own code."""
    out = tmp_path_factory.mktemp("words") / "messages.pot"
    options = ["--no-location", "-F", str(TRANSLATIONS / "extract.ini"), "-o", str(out)]
    root = TRANSLATIONS.parents[1]
    command = ["pybabel", "-q", "extract", *options, str(root)]
    CommandLineInterface().run(command)  # type: ignore[no-untyped-call]
    with out.open("rb") as file:
        return read_po(file)


def _read(language: str) -> Catalog:
    with (TRANSLATIONS / language / "LC_MESSAGES" / "messages.po").open("rb") as file:
        return read_po(file, locale=language)


def _texts(text: str | tuple[str, ...] | list[str] | None) -> list[str]:
    return [text] if isinstance(text, str) else list(text or ())


def _placeholders(text: str) -> set[str]:
    braced = {name for _, name, _, _ in string.Formatter().parse(text) if name}
    return braced | set(re.findall(r"%\(\w+\)s", text))


def test_there_are_the_languages_that_the_documentation_names() -> None:
    assert {"ar", "de", "es", "fr", "zh"} <= set(LANGUAGES)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_word_has_a_translation_and_none_is_left_over(words: Catalog, language: str) -> None:
    there = _read(language)
    wanted, found = ({str(m.id) for m in c if m.id} for c in (words, there))
    assert len(wanted) > 80
    assert found == wanted
    assert not [m.id for m in there if m.fuzzy and m.id]


@pytest.mark.parametrize("language", LANGUAGES)
def test_placeholders_agree(words: Catalog, language: str) -> None:
    there = _read(language)
    for message in words:
        if not message.id:
            continue
        translated = there[message.id]
        wanted = _placeholders(_texts(message.id)[-1])
        assert _texts(translated.string), message.id
        for text in _texts(translated.string):
            assert text.strip(), message.id
            assert _placeholders(text) == wanted, text
        assert not list(translated.check(there))


def test_catalogues_are_compiled_with_their_plurals() -> None:
    found = catalogues(TRANSLATIONS)
    names = own_names(found)
    assert list(names) == sorted(["en", *LANGUAGES])
    assert names.items() >= {"de": "Deutsch", "en": "English", "zh": "中文"}.items()
    assert found["de"].ugettext("Saved") == "Gespeichert"
    forms = (
        "This sitting takes about %(num)s minute.",
        "This sitting takes about %(num)s minutes.",
    )
    assert found["de"].ungettext(*forms, 1).endswith("Minute.")
    assert found["de"].ungettext(*forms, 2).endswith("Minuten.")
    assert found["en"].ungettext(*forms, 2) == forms[1]
    assert "分钟" in found["zh"].ungettext(*forms, 2)
    assert len({found["ar"].ungettext(*forms, n) for n in (0, 1, 2, 3, 11)}) == 5
    for code in ("fr", "es"):
        assert found[code].ungettext(*forms, 1).endswith("minut" + {"fr": "e.", "es": "o."}[code])
        assert found[code].ungettext(*forms, 2).endswith("s.")


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("de", 'msgid "a"\nmsgstr "b" "c\nnothing"'),
        ("qq", 'msgid "a"\nmsgstr "b"\n'),
        ("de", b'msgid "a"\nmsgstr "\xff"\n'),
    ],
)
def test_a_faulty_file_is_named(tmp_path: Path, language: str, text: str | bytes) -> None:
    path = tmp_path / language / "LC_MESSAGES" / "messages.po"
    path.parent.mkdir(parents=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(DataError, match=r"messages\.po"):
        catalogues(tmp_path)
