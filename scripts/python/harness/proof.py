"""What every proof does around its own work: a seed, a report, a verdict, an exit code."""

import json
import random
import signal
import sys

from harness.log import table


def prove(program, options, begin, verdict):
    """
    Runs `begin(options, seed)`, which has `log`, `run()` with a report and `close()`; the exit code. `verdict` of a
    report is what is wrong, as lines.
    """
    # SIGTERM ends it as Ctrl-C does: everything that was started is stopped.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(1, 2**31)
    print(f"seed {seed}", flush=True)
    proof = begin(options, seed)
    try:
        report = proof.run()
    except KeyboardInterrupt:
        return 130
    except Exception as error:  # noqa: BLE001: one line for whoever started it, the rest is in the log
        proof.log(f"{error!r}")
        print(f"{program}: {error}; see {proof.log.path}", file=sys.stderr)
        return 1
    finally:
        proof.close()
    wrong = verdict(report)
    report["passed"] = not wrong
    table(report)
    print(json.dumps(report))
    for line in wrong:
        print(f"{program}: seed {seed}: {line}", file=sys.stderr)
    return 1 if wrong else 0
