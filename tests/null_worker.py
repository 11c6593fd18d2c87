"""A worker that does nothing but answer: what is left is the engine's own work. It imports nothing of the harness.

python -S tests/null_worker.py [options of the real worker]
"""

import json
import os
import sys


def main() -> None:
    ready = {"type": "ready", "pid": os.getpid(), "device": {"kind": "cpu", "name": "null"}, "version": 1}
    print(json.dumps(ready), flush=True)
    for line in sys.stdin.buffer:
        request = json.loads(line)
        values = {"latency_ms": [1.0]} if request["probe"] == "latency" else {}
        answer = {"type": "result", "visit": request["visit"], "status": "ok", "values": values}
        sys.stdout.buffer.write(json.dumps(answer).encode() + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
