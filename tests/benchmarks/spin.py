"""Keep a core busy and print what share of it this process got: ``spin.py SECONDS``."""

import sys
import time


def main() -> None:
    seconds = float(sys.argv[1])
    started, used = time.perf_counter(), time.process_time()
    while time.perf_counter() - started < seconds:
        sum(range(1000))
    print((time.process_time() - used) / (time.perf_counter() - started))


if __name__ == "__main__":
    main()
