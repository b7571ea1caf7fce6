"""One line of JSON for each write, as all drivers print them; the sentinels as host and port."""

import json
import sys
import time

GROUP = sys.argv[1]
SENTINELS = [(host, int(port)) for host, _, port in (word.partition(":") for word in sys.argv[2:])]


def say(**said):
    print(json.dumps({"at": time.time() * 1000, **said}), flush=True)


def failed(error):
    say(error=f"{type(error).__name__}: {error}"[:160])


def write_for_ever(write):
    """Calls `write(number)`, which raises where the write was not acknowledged."""
    number = 0
    while True:
        number += 1
        try:
            write(number)
            say(ok=True)
        except Exception as error:
            failed(error)
        time.sleep(0.01)
