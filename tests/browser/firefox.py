"""Firefox, by the protocol that it speaks itself: Debian's release is older than Playwright drives.

Marionette is JSON over a socket on the loopback address; its commands are those of WebDriver.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_PORT = "MarionetteActivePort"
_PATIENCE = 60.0
ENTER, TAB = "\ue007", "\ue004"


class Firefox:
    """One window of a running Firefox."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=_PATIENCE)
        self._answers = self._socket.makefile("rb")
        self._ids = itertools.count(1)
        self._read()
        self.command("WebDriver:NewSession", capabilities={})

    def _read(self) -> Any:
        length = b""
        while (byte := self._answers.read(1)) != b":":
            assert byte, "Firefox has closed the connection"
            length += byte
        return json.loads(self._answers.read(int(length)))

    def command(self, name: str, **parameters: Any) -> Any:
        """The result of one command; an error fails the test."""
        data = json.dumps([0, next(self._ids), name, parameters]).encode()
        self._socket.sendall(b"%d:%s" % (len(data), data))
        _, _, error, result = self._read()
        assert error is None, f"{name}: {error['message']}"
        return result

    def close(self) -> None:
        """End Firefox."""
        self.command("Marionette:Quit", flags=["eForceQuit"])
        self._answers.close()
        self._socket.close()

    def open(self, url: str) -> None:
        """Go to an address."""
        self.command("WebDriver:Navigate", url=url)

    def tab(self) -> tuple[str, str]:
        """Go to a new tab; gives the handles of the present one and of the new one."""
        present = str(self.command("WebDriver:GetWindowHandle")["value"])
        new = str(self.command("WebDriver:NewWindow", type="tab")["handle"])
        self.switch(new)
        return present, new

    def switch(self, handle: str) -> None:
        """Go to the tab of that handle."""
        self.command("WebDriver:SwitchToWindow", handle=handle)

    def press(self, keys: str) -> None:
        """Press one key after the other."""
        strokes = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        keyboard = {"type": "key", "id": "keyboard", "actions": strokes}
        self.command("WebDriver:PerformActions", actions=[keyboard])

    def value(self, expression: str) -> Any:
        """What a JavaScript expression gives on the page."""
        script = f"return {expression}"
        return self.command("WebDriver:ExecuteScript", script=script, args=[])["value"]

    @contextmanager
    def setting(self, name: str, value: bool | int) -> Iterator[None]:
        """Another value of one of the user's own settings."""
        kind = "Bool" if isinstance(value, bool) else "Int"
        self._of_the_browser(f"Services.prefs.set{kind}Pref({name!r}, {json.dumps(value)})")
        try:
            yield
        finally:
            self._of_the_browser(f"Services.prefs.clearUserPref({name!r})")

    def _of_the_browser(self, expression: str) -> None:
        self.command("Marionette:SetContext", value="chrome")
        try:
            self.value(expression)
        finally:
            self.command("Marionette:SetContext", value="content")

    def wait(self, expression: str) -> None:
        """Until a JavaScript expression is true."""
        end = time.monotonic() + _PATIENCE
        while not self.value(expression):
            assert time.monotonic() < end, f"{expression} isn't true: {self.value(_TEXT)}"
            time.sleep(0.05)


_TEXT = "document.body.innerText"


def path() -> str | None:
    """Where Firefox is, if it is installed."""
    return shutil.which("firefox-esr") or shutil.which("firefox")


@contextmanager
def running(program: str, folder: Path) -> Iterator[Firefox]:
    """Firefox without a screen, its profile and home in an empty folder."""
    (folder / "user.js").write_text('user_pref("marionette.port", 0);\n')
    flags = ["--headless", "--marionette", "--remote-allow-system-access", "--no-remote"]
    process = subprocess.Popen(
        [program, *flags, "--profile", str(folder)],
        env={**os.environ, "HOME": str(folder), "MOZ_HEADLESS_WIDTH": "1280"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        end = time.monotonic() + _PATIENCE
        port = folder / _PORT
        while not (port.exists() and port.read_text().strip()):
            assert process.poll() is None, "Firefox doesn't start"
            assert time.monotonic() < end, "Firefox doesn't listen"
            time.sleep(0.1)
        firefox = Firefox(int(port.read_text()))
        try:
            yield firefox
        finally:
            firefox.close()
    finally:
        try:
            process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
