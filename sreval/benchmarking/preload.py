"""What worker processes have in common: loaded once, before the first of them begins."""

import signal

_before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for who started this


signal.signal(signal.SIGINT, _before)
