"""Programs with resources of every kind, and the states that they leave, as golden files tell them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

SIGNATURE = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270"}

# Each kind with its defaults, with everything said, with a seed; inputs that are secret, and some not known beforehand.
LIFE = """
import pulumi
import pulumi_random as random

config = pulumi.Config()
first = (config.get("turn") or "1") == "1"
keepers = {"turn": config.get("turn") or "1", "number": 7}
hidden = pulumi.Output.secret("hidden")

password = random.RandomPassword("password", length=24, special=config.get_bool("special"), keepers=keepers)
random.RandomPassword("pin", length=4, lower=False, upper=False, special=False)
random.RandomPassword("long", length=100, min_lower=1, min_numeric=2, min_special=3, override_special="é_")
random.RandomString("string", length=12, special=False, min_upper=2, override_special="_")
random.RandomString("rewritten", length=3, override_special="" if first else None)
random.RandomBytes("bytes", length=16)
random.RandomId("id", byte_length=4, prefix="pre-")
random.RandomId("bare-id", byte_length=3, keepers=keepers)
random.RandomInteger("integer", min=5, max=7)
seeded = random.RandomInteger("seeded-integer", min=1, max=50000, seed="12345" if first else "123456")
random.RandomInteger("empty-seed", min=-3, max=-3, seed="")
uuid = random.RandomUuid("uuid", keepers=keepers)
random.RandomUuid4("uuid4", keepers={} if first else None)
random.RandomUuid7("uuid7", keepers=None if first else {"none": None})
random.RandomPet("pet")
random.RandomPet("named-pet", length=4, prefix="Stamp", separator="_")
random.RandomPet("short-pet", length=1, separator="", keepers={"none": None})
random.RandomShuffle("shuffle", inputs=["a", "b", "c", "d", "e"])
random.RandomShuffle("seeded-shuffle", inputs=["a", "b", "c", "d", "e"], seed="-", result_count=12 if first else 3)
random.RandomShuffle("no-shuffle", inputs=["a", "b"], result_count=0)
random.RandomShuffle("hidden-shuffle", inputs=[hidden, "open"], seed="a")
random.RandomId("hidden-id", byte_length=2, prefix=hidden)
random.RandomPet("follower", keepers={"of": uuid.result})
random.RandomString("as-long", length=seeded.result.apply(lambda number: number % 2 + 5), keepers={"of": uuid.result})
provider = random.Provider("other")
random.RandomUuid("of-other", opts=pulumi.ResourceOptions(provider=provider))

pulumi.export("password", password.result)
pulumi.export("configured", provider.terraform_config().result)
"""

# The forms of an id that can be imported; what the program says is what the id says.
IMPORTS = """
import pulumi
import pulumi_random as random

def adopt(identity):
    return pulumi.ResourceOptions(import_=identity)

random.RandomPassword("password", length=9, opts=adopt("old&secre"))
random.RandomString("string", length=3, opts=adopt("abc"))
random.RandomBytes("bytes", length=16, opts=adopt("8/fu3q+2DcgSJ19i0jZ5Cw=="))
random.RandomId("id", byte_length=4, opts=adopt("p-9hUg"))
random.RandomId("prefixed-id", byte_length=4, prefix="my-prefix-", opts=adopt("my-prefix-,p-9hUg"))
random.RandomInteger("integer", min=1, max=50000, opts=adopt("15390,1,50000"))
random.RandomInteger("seeded-integer", min=1, max=3, seed="12345", opts=adopt("3,1,3,12345"))
random.RandomUuid("uuid", opts=adopt("AABBCCDD-eeff-0011-2233-445566778899"))
random.RandomUuid4("uuid4", opts=adopt("{7e4436da-7c71-486e-a57c-830b25fff7bd}"))
random.RandomUuid7("uuid7", opts=adopt("urn:uuid:0197ad85-fe6e-7e92-a2f5-7550daa83030"))
got = random.RandomString.get("got", "xyz")
pulumi.export("got", got.length)
"""


def golden(name: str) -> dict[str, Any]:
    """Return a golden file: by resource its id, inputs and outputs.

    A text that begins with ~ is a pattern for a text that is drawn, one with # for a number; {"secret": …} stands for
    what the state encrypts.
    """
    loaded: dict[str, Any] = json.loads((Path(__file__).parent / "golden" / f"{name}.json").read_text())
    return loaded


def differences(expected: Any, actual: Any, path: str = "") -> list[str]:
    """Return where a state, exported with its secrets shown, is not as the golden file says."""
    if isinstance(expected, dict) and set(expected) == {"secret"}:
        if not isinstance(actual, dict) or set(actual) != {*SIGNATURE, "plaintext"}:
            return [f"{path}: not secret: {actual!r}"]
        return differences(expected["secret"], json.loads(actual["plaintext"]), path)
    if isinstance(expected, dict) and isinstance(actual, dict):
        if expected.keys() != actual.keys():
            return [f"{path}: {sorted(expected)} is not {sorted(actual)}"]
        return [found for key in expected for found in differences(expected[key], actual[key], f"{path}.{key}")]
    if isinstance(expected, list) and isinstance(actual, list) and len(expected) == len(actual):
        pairs = enumerate(zip(expected, actual, strict=True))
        return [found for index, pair in pairs for found in differences(*pair, f"{path}[{index}]")]
    if isinstance(expected, str) and expected[:1] in {"~", "#"}:
        kind = str if expected.startswith("~") else int
        same = type(actual) is kind and re.fullmatch(expected[1:], str(actual)) is not None
    else:
        same = expected == actual and type(expected) is type(actual)
    return [] if same else [f"{path}: {expected!r} is not {actual!r}"]


def plain(value: Any) -> Any:
    """Return an exported property without its secret markers."""
    if isinstance(value, dict):
        if "plaintext" in value:
            return json.loads(value["plaintext"])
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list) else value
