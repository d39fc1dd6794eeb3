# Runs modules of CPython's own test suite in the directory given, and prints one line for each case: its id and outcome.
import os, subprocess, sys, tempfile
import xml.etree.ElementTree as tree

place, report, modules = sys.argv[1], sys.argv[2], sys.argv[3:]
os.makedirs(place + "/tmp", exist_ok=True)
os.chdir(place)
os.environ["TMPDIR"] = place + "/tmp"
command = [sys.executable, "-m", "test", "--timeout", "100", "--tempdir", place + "/tmp", "--junit-xml", report]
done = subprocess.run(command + modules, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
for case in tree.parse(report).iter("testcase"):
    kinds = [child.tag for child in case if child.tag in ("error", "failure", "skipped")]
    outcome = kinds[0] if kinds else {"run": "ok"}.get(case.get("status"), case.get("status"))
    if case.get("result") == "skipped":
        outcome = "skipped"
    print(case.get("name"), outcome)
for line in done.stdout.splitlines():
    if "crashed" in line or "Timeout" in line or "Fatal Python error" in line:
        print("suite", line)
