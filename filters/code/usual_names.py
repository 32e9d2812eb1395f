"""The names that sites with function problems import before a solution, so that solutions use them without an import.

They become builtins of the program: a global or a method of its own comes first, and no function of a library can
stand in for one that the tests ask for.
"""

MODULES: tuple[str, ...] = (
    *("bisect", "collections", "copy", "datetime", "functools", "heapq", "itertools", "math", "operator", "random"),
    *("re", "statistics", "string", "sys", "time", "json", "decimal", "fractions", "typing"),
)
OPENED: tuple[str, ...] = (
    "operator",
    "string",
    "random",
    "statistics",
    "copy",
    "re",
    "datetime",
    "fractions",
    "decimal",
    "typing",
)
OPENED += ("functools", "itertools", "math", "bisect", "heapq", "collections")  # of two names, the later one counts
USUAL_NAMES = f"""\
def _add_usual_names():
    import builtins, importlib
    modules = {{name: importlib.import_module(name) for name in {MODULES!r}}}
    found = dict(modules)
    for name in {OPENED!r}:
        module = modules[name]
        public = getattr(module, "__all__", [each for each in vars(module) if not each.startswith("_")])
        found.update((each, getattr(module, each)) for each in public)
    found.update(modules, datetime=modules["datetime"].datetime)
    vars(builtins).update((name, value) for name, value in found.items() if not hasattr(builtins, name))
_add_usual_names()
del _add_usual_names
"""
