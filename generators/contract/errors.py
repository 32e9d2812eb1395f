"""Errors that a user can act on. Their messages suffice, so the command line prints them without a traceback.

DistillError
├── AskedWrongly             exit code 2: the same command fails again until the request is changed
│   ├── RecipeError          a key, a value, an option or a combination of them
│   ├── InputError           a file or a row that is malformed or does not fit
│   │   ├── MissingFile      a file that does not exist
│   │   └── TemplateRefuses  messages that a chat template does not take
│   └── PluginError          a plug-in that cannot be found or loaded
└── Failed                   exit code 1: the work was started and could not be finished
    ├── InUse                another process holds the folder
    ├── EngineDied           an engine is lost entirely; a new one can replace it
    ├── EngineFailed         engines died too often to go on
    ├── ServerRefuses        a server answers no request of this run
    ├── DamagedStore         stored soft targets cannot be read
    ├── OutOfMemory          the GPU's memory is too small for a setting, which the message names
    ├── NothingKept          a stage kept no row
    └── NeedsAttention       a check found something, which its output names

Any other exception is a fault of this toolkit, of a plug-in or of a library, and keeps its traceback.
"""


class DistillError(Exception):
    """Base of all errors whose message tells a user what to do."""

    exit_code = 1


class AskedWrongly(DistillError, ValueError):
    """A request that cannot be carried out; nothing was started."""

    exit_code = 2


class RecipeError(AskedWrongly):
    """A recipe or an override is wrong; the message names the key, the value and what is accepted."""


class InputError(AskedWrongly):
    """An input file is malformed or does not fit; the message names the file and the row."""


class MissingFile(InputError, FileNotFoundError):
    """An input file does not exist; the message names it."""


class TemplateRefuses(InputError):
    """A chat template raises an error over some messages, such as a system message; the message has its words."""


class PluginError(AskedWrongly):
    """A plug-in cannot be found or loaded; the message names it and the cause."""


class Failed(DistillError, RuntimeError):
    """The work could not be finished; what was finished is kept."""


class InUse(Failed):
    """Another process works in this folder."""


class EngineDied(Failed):
    """An engine is lost entirely, for example with its process; a new one can replace it."""


class EngineFailed(Failed):
    """Engines died again and again without finishing a sample."""


class ServerRefuses(Failed):
    """A server will answer no request of this run."""


class DamagedStore(Failed, ValueError):
    """A store of soft targets holds bytes that are not what was written."""


class OutOfMemory(Failed):
    """A GPU's memory was exceeded; the message names the key to lower."""


class NothingKept(Failed):
    """A stage kept no row; the message names the most frequent reasons."""


class NeedsAttention(Failed):
    """A check found something that needs attention."""
