# SPDX-License-Identifier: GPL-2.0-only
"""
harness - tests of nvvgpuctl, as TAP.

A test is a function that @test has registered; it fails by an exception. Arguments of
the program: -t NAME runs only that test, -V NAME is ignored, as it is for others.
"""

import json
import os
import re
import subprocess
import sys
import time
import traceback

HERE = os.path.dirname(os.path.realpath(__file__))
CTL = os.environ.get("NVVGPUCTL", "nvvgpuctl")
HOOK = os.path.join(HERE, "../libvirt/qemu-hook")
# Of the domain in domain_xml()
UUID = "6b8d7a10-0000-4000-8000-000000000001"

# Limit of each wait, in seconds. Only an error takes longer, even on a slow machine.
PATIENCE = 600

# Exit statuses, as nvvgpuctl(8) has them
(OK, FAILED, USAGE, NOT_FOUND, IN_USE, STALE, DIFFERS, PERMISSION, INVALID) = range(9)

# Some tests run nvvgpuctl as nobody, who must be able to read the files of the test.
os.umask(0o022)

TESTS = []


class Skip(Exception):
    """A test that cannot run here"""


def test(function):
    """Register a test"""
    TESTS.append(function)
    return function


class Result:
    """What a run of nvvgpuctl has printed, and its exit status"""

    def __init__(self, args, status, out, err):
        self.args, self.status, self.out, self.err = args, status, out, err

    @property
    def json(self):
        """The output as JSON, which has to match the schema of the command"""
        answer = json.loads(self.out)
        check_schema(answer, {"$ref": f"#/$defs/{answer['command']}"})
        return answer

    def __str__(self):
        return f"nvvgpuctl {' '.join(self.args)}: status {self.status}\n{self.out}{self.err}"


def ctl(*args, root="", stdin=None):
    """Run nvvgpuctl"""
    args = [str(arg) for arg in args]
    env = dict(os.environ, NVVGPU_ROOT=str(root))
    done = subprocess.run([CTL, *args], capture_output=True, text=True, env=env, input=stdin,
                          stdin=None if stdin else subprocess.DEVNULL, timeout=PATIENCE, check=False)
    return Result(args, done.returncode, done.stdout, done.stderr)


def expect(status, *args, **kwargs):
    """Run nvvgpuctl, which has to end with a status"""
    result = ctl(*args, **kwargs)
    assert result.status == status, f"expected status {status}: {result}"
    return result


def domain_xml(*vgpus):
    """The XML of a libvirt domain with vGPUs, each a type and the address of a VF"""
    entries, hostdevs = "", ""
    for n, (kind, address) in enumerate(vgpus):
        domain, bus, slot, function = re.split("[:.]", address)
        entries += f"<v:vgpu alias='ua-{n}' type='{kind}'/>"
        hostdevs += (f"<hostdev><source><address domain='0x{domain}' bus='0x{bus}' slot='0x{slot}'"
                     f" function='0x{function}'/></source><alias name='ua-{n}'/></hostdev>")
    return (f"<domain><uuid>{UUID}</uuid><metadata><v:vgpus xmlns:v='urn:nvvgpu:1'>{entries}"
            f"</v:vgpus></metadata><devices>{hostdevs}</devices></domain>")


def run_hook(status, operation, xml, **env):
    """Run libvirt's hook, which has to end with a status; returns what it prints"""
    done = subprocess.run([HOOK, "desk", operation, "begin", "-"], input=xml, text=True,
                          capture_output=True, check=False, env=dict(os.environ, **env))
    equal(status, done.returncode, f"{operation}: {done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def equal(want, seen, what=""):
    """Fail unless two values are equal"""
    assert want == seen, f"{what}: expected {want!r}, saw {seen!r}"


def contains(part, text):
    """Fail unless a text has a part"""
    assert part in text, f"expected {part!r} in {text!r}"


def wait_for(condition):
    """Fail unless a condition becomes true"""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "timed out"
        time.sleep(0.05)


with open(os.path.join(HERE, "..", "nvvgpuctl.schema.json"), encoding="utf-8") as schema_file:
    SCHEMA = json.load(schema_file)

PYTHON_TYPES = {"object": dict, "array": list, "string": str, "integer": int, "number": (int, float),
                "boolean": bool, "null": type(None)}


def is_type(value, name):
    """Whether a value has a type of JSON Schema"""
    if isinstance(value, bool):
        return name == "boolean"
    return isinstance(value, PYTHON_TYPES[name])


def check_schema(value, schema, where="answer"):
    """Fail unless a value matches a schema; knows what our schema uses"""
    known = {"$ref", "anyOf", "const", "enum", "type", "required", "properties", "items",
             "pattern", "description"}
    assert set(schema) <= known, f"the schema uses {set(schema) - known}"
    if "$ref" in schema:
        check_schema(value, SCHEMA["$defs"][schema["$ref"].rsplit("/", 1)[1]], where)
    if "anyOf" in schema:
        errors = []
        for option in schema["anyOf"]:
            try:
                check_schema(value, option, where)
                break
            except AssertionError as e:
                errors.append(str(e))
        else:
            raise AssertionError("; ".join(errors))
    if "const" in schema:
        equal(schema["const"], value, where)
    if "enum" in schema:
        assert value in schema["enum"], f"{where}: {value!r} is not one of {schema['enum']}"
    if "type" in schema:
        names = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        assert any(is_type(value, name) for name in names), f"{where}: {value!r} is no {names}"
    if "pattern" in schema:
        assert re.search(schema["pattern"], value), f"{where}: {value!r}"
    for key in schema.get("required", []):
        assert key in value, f"{where}: {key} is missing"
    if "properties" in schema:
        # Others may add keys, but we do not forget to document ours.
        assert set(value) <= set(schema["properties"]), \
            f"{where}: {set(value) - set(schema['properties'])} is not in the schema"
        for key, part in value.items():
            check_schema(part, schema["properties"][key], f"{where}.{key}")
    if "items" in schema:
        for n, part in enumerate(value):
            check_schema(part, schema["items"], f"{where}[{n}]")


def main(name, before=lambda: None, after=lambda: None):
    """Run the tests, each between before() and after()"""
    only = [sys.argv[n + 1] for n, arg in enumerate(sys.argv[:-1]) if arg == "-t"]
    tests = [t for t in TESTS if not only or t.__name__ in only]
    print(f"TAP version 13\n1..{len(tests)}", flush=True)
    failed = 0
    for number, function in enumerate(tests, 1):
        title = f"{number} {name}.{function.__name__}"
        print(f"#  RUN           {name}.{function.__name__} ...", flush=True)
        try:
            before()
            function()
            print("ok", title, flush=True)
        except Skip as e:
            print("ok", title, "# SKIP", e, flush=True)
        except Exception:  # pylint: disable=broad-exception-caught
            failed += 1
            print("\n".join("# " + line for line in traceback.format_exc().splitlines()[-25:]))
            print("not ok", title, flush=True)
        after()
    return failed > 0
