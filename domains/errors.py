"""The ways Careledger says no, and the exit status each stands for."""


class InputError(Exception):
    """Bad usage, configuration or data: one line that says what is wrong and how to mend it.

    The command line turns it into exit status 2.

    Attributes:
        told: The line for the terminal alone, where what is wrong is wrong with private records;
            the error's own text then says no more than where it was found.
    """

    told: str | None = None


class Refused(Exception):
    """The request is understood and denied: a budget is spent, or the gate said no.

    The command line turns it into exit status 3.
    """


class Waiting(Refused):
    """A run under way is refused what it has to spend to go on; what was done is kept until that is
    granted.
    """


class Interrupted(Exception):
    """The machine or a server stopped the work, a full disk say; what was done is kept.

    The command line turns it into exit status 1.
    """


class StageFailed(RuntimeError):
    """An unforeseen error in a stage of a run: its type and place, without its text, which may
    quote a record.

    The command line turns it into exit status 1.
    """
