"""The pages' words in other languages: one messages.po each, compiled when the site starts."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from babel import Locale
from babel.core import UnknownLocaleError
from babel.messages.mofile import write_mo
from babel.messages.pofile import PoFileError, read_po
from babel.support import NullTranslations, Translations
from flask import Flask
from flask_babel import Babel, Domain, get_locale

from sreval.errors import DataError

SOURCE_LANGUAGE = "en"
Catalogues = dict[str, NullTranslations]


def catalogues(folder: Path) -> Catalogues:
    """Every folder/LANGUAGE/LC_MESSAGES/messages.po by language, and English as the source has it.

    Raises DataError naming the file that can't be read or whose folder is no known language.
    """
    found: Catalogues = {SOURCE_LANGUAGE: NullTranslations()}
    for path in sorted(folder.glob("*/LC_MESSAGES/messages.po")):
        language = path.parent.parent.name
        try:
            Locale.parse(language)
            compiled = io.BytesIO()
            with path.open("rb") as file:
                write_mo(compiled, read_po(file, locale=language, abort_invalid=True))
        except (OSError, ValueError, UnknownLocaleError, PoFileError) as error:
            raise DataError(f"{path}: {error}.", "Fix the file, or remove it.") from None
        compiled.seek(0)
        found[language] = Translations(compiled)
    return found


def own_names(languages: Catalogues) -> dict[str, str]:
    """What each language calls itself, by its code, in the codes' order."""
    return {code: Locale.parse(code).get_display_name() or code for code in sorted(languages)}


class Compiled(Babel):  # type: ignore[misc]
    """Flask-Babel with these catalogues in place of .mo files."""

    def __init__(self, app: Flask, found: Catalogues, **options: Any) -> None:
        self._domain = _Domain(found)
        super().__init__(app, default_locale=SOURCE_LANGUAGE, **options)

    @property
    def domain_instance(self) -> Domain:
        """Where all of Flask-Babel looks a message up."""
        return self._domain


class _Domain(Domain):  # type: ignore[misc]
    def __init__(self, found: Catalogues) -> None:
        super().__init__()
        self._found = found

    def get_translations(self) -> NullTranslations:
        return self._found.get(str(get_locale()), self._found[SOURCE_LANGUAGE])
