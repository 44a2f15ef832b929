"""A campaign's decision tree, drawn with box lines for the terminal."""

from collections.abc import Sequence

from hoag.campaigns import Campaign, Question


def drawn_campaign(campaign: Campaign, questions: Sequence[Question]) -> str:
    """Draw the questions of one campaign, each under the answer that leads to it.

    A question whose answers lead nowhere shows them on its own line. A question with several
    parents is drawn once, at the left, with the answers after which it is asked written below.

    Returns
    -------
    str
        Lines without a line break at the end.
    """
    answers = sum(len(question.answers) for question in questions)
    lines = [
        " · ".join(filter(None, (campaign.name, campaign.title, campaign.survey))),
        f"{len(questions)} questions, {answers} answers, columns like {questions[0].columns[0]}",
        "",
    ]
    for question in questions:
        if len(question.asked_after) != 1:
            lines += _question_lines(question, questions, stem="")
    return "\n".join(lines)


def _question_lines(question: Question, questions: Sequence[Question], stem: str) -> list[str]:
    below = {
        column: [child for child in questions if child.asked_after == (column,)]
        for column in question.columns
    }
    # What continues below a question: its own stem with the corner turned into a wall or a gap.
    wall = stem.replace("├─ ", "│  ").replace("╰─ ", "   ")
    note = [f"{wall}   {text}" for text in _parents(question, questions)]
    if not any(below.values()):
        plain = " · ".join(answer.removeprefix("_") for answer in question.answers)
        return [f"{stem}{question.short}?  {plain}", *note]
    lines = [f"{stem}{question.short}?", *note]
    for n, (answer, children) in enumerate(zip(question.answers, below.values(), strict=True)):
        last = n == len(question.answers) - 1
        lines.append(f"{wall}{'╰─ ' if last else '├─ '}{answer.removeprefix('_')}")
        inner = wall + ("   " if last else "│  ")
        for m, child in enumerate(children):
            corner = "╰─ " if m == len(children) - 1 else "├─ "
            lines += _question_lines(child, questions, inner + corner)
    return lines


def _parents(question: Question, questions: Sequence[Question]) -> list[str]:
    if len(question.asked_after) < 2:
        return []
    owners = {column: asker for asker in questions for column in asker.columns}
    names, before = [], None
    for column in question.asked_after:
        asker = owners[column]
        answer = column.removeprefix(asker.name)
        names.append(answer if asker is before else asker.short + answer)
        before = asker
    return [f"after {' or '.join(names)}"]
