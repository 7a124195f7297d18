"""``python -m enginebay_server`` is ``enginebay``."""

from enginebay_server.cli import main

main()
