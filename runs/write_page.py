"""Write docs/real-galaxies.md: its text stands in real-galaxies.md.j2, its numbers in the JSON.

python runs/write_page.py

No number of a run is typed in by hand; tests/test_real_galaxies_page.py checks that the page is
what this writes.
"""

import re
from pathlib import Path
from textwrap import fill

import jinja2

from hoag.files import read_json, written_whole

HERE = Path(__file__).parent
DOCS = HERE.parent / "docs"
NUMBERS, PAGE = DOCS / "pictures" / "real-galaxies.json", DOCS / "real-galaxies.md"


def percent(share: float, digits: int = 0) -> str:
    """0.8734 as "87", or "87.3" with a digit."""
    return f"{100 * share:.{digits}f}"


def fixed(number: float, digits: int = 2) -> str:
    return f"{number:.{digits}f}"


def signed(number: float, digits: int = 2) -> str:
    return f"{number:+.{digits}f}".replace("-", "−")


def thousands(number: int) -> str:
    return f"{number:,}"


def power(number: float) -> str:
    """2.3e-06 as "2 × 10⁻⁶"."""
    digit, exponent = f"{number:.0e}".split("e")
    return (
        f"{digit} × 10{str(int(exponent)).translate(str.maketrans('-0123456789', '⁻⁰¹²³⁴⁵⁶⁷⁸⁹'))}"
    )


def rendered() -> str:
    """Fill in the page."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE), undefined=jinja2.StrictUndefined, trim_blocks=True,
        lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip
    for function in (percent, fixed, signed, thousands, power):
        environment.filters[function.__name__] = function
    return wrapped(environment.get_template("real-galaxies.md.j2").render(read_json(NUMBERS)))


def wrapped(page: str) -> str:
    """Fill the paragraphs anew, now that numbers stand in them; blocks and tables stay."""
    page = re.sub(r"(?<=\d) %", "\N{NO-BREAK SPACE}%", page)
    parts = re.split(r"(```.*?```)", page, flags=re.S)
    for number in range(0, len(parts), 2):
        paragraphs = parts[number].strip("\n").split("\n\n")
        parts[number] = "\n\n".join(
            text if re.match(r"[#|!]", text)
            else fill(text, 100, break_long_words=False, break_on_hyphens=False)
            for text in paragraphs
        )  # fmt: skip
    return "\n\n".join(part for part in parts if part).strip() + "\n"


def main() -> None:
    with written_whole(PAGE) as temporary:
        temporary.write_text(rendered(), encoding="utf-8")
    print(PAGE)


if __name__ == "__main__":
    main()
