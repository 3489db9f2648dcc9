"""A new study as a copy of another one's design."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from sreval.content import names, own_folders
from sreval.errors import UsageError
from sreval.files import write_atomic
from sreval.study.design import NAME, StudyDesign, load_design
from sreval.study.manifest import DESIGN

_NAME_LINE = re.compile(r"^name[ \t]*=.*$", re.MULTILINE)


def copy_study(name: str, source: Path) -> Path:
    """Copy the design in `source`, its comments with it, to a user's own study of that name.

    It goes to the last of `content.own_folders`: SREVAL_HOME where set, else ./studies.
    Returns the new study.toml. Raises UsageError for a name that is taken or can't be one, and
    for a source that holds no valid design.
    """
    if not re.fullmatch(NAME, name):
        raise UsageError(
            f"{name!r} can't be a study's name.", "Use a-z, 0-9, '.', '_' and '-', no dash first."
        )
    folder = own_folders("studies")[-1] / name
    if name in names("studies") or folder.exists():
        raise UsageError(f"There is a study {name!r} already.", "Choose another name.")
    load_design(source)
    text = (source / DESIGN).read_text(encoding="utf-8-sig")
    top = re.split(r"^\[", text, maxsplit=1, flags=re.MULTILINE)[0]
    text = _NAME_LINE.sub(f'name = "{name}"', top, count=1) + text[len(top) :]
    if StudyDesign.model_validate(tomllib.loads(text)).name != name:
        raise UsageError(
            f"{source / DESIGN} has no line that begins with 'name ='.", "Give it one at the top."
        )
    write_atomic(folder / DESIGN, text)
    return folder / DESIGN
