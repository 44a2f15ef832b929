"""The one error a user meets: a sentence that says what is wrong, where, and what to do."""


class HoagError(Exception):
    """Bad input, said in one clear sentence.

    The command line prints it without a traceback and exits with status 2;
    in Python it is raised as it is. The message names the file, row or column at fault and the way
    out, for example "votes.csv: column 'bar-gz2_yes', row 12: -3 is negative; votes are counts".
    """
