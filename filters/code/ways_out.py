"""A look at the source of a program for ways from it to tests in its process.

Tests that patch a module, capture output, prepare files, seed a generator or derive from the program's class act on the
process that the program runs in. There a program could look for the tests' expected values or change what they rely on.
So it is admitted only if it names none of the ways out that `Inspection` knows; `filters.sandbox.testing.guards` adds
checks of what only the run shows. This is a filter, no proof: what fails it is judged across two processes.
"""

import ast
import functools
import importlib
import re
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any

from filters.code.names import DEFINITIONS, bound_by, parsed

MODULES = frozenset(
    (
        *("__future__", "abc", "argparse", "array", "ast", "asyncio", "base64", "binascii", "bisect", "bz2"),
        *("calendar", "cmath", "codecs", "collections", "colorsys", "concurrent", "configparser", "contextlib"),
        *("contextvars", "copy", "csv", "dataclasses", "datetime", "decimal", "difflib", "email", "enum"),
        *("errno", "fnmatch", "fractions", "functools", "getpass", "glob", "graphlib", "gzip", "hashlib"),
        *("heapq", "hmac", "html", "http", "io", "ipaddress", "itertools", "json", "keyword", "locale"),
        *("logging", "lzma", "math", "mimetypes", "numbers", "operator", "os", "pathlib", "platform", "pprint"),
        *("queue", "random", "re", "secrets", "shlex", "shutil", "socket", "sqlite3", "ssl", "stat"),
        *("statistics", "string", "struct", "subprocess", "sys", "tarfile", "tempfile", "textwrap"),
        *("threading", "time", "timeit", "traceback", "types", "typing", "cmd", "filecmp", "fileinput"),
        *("ftplib", "getopt", "gettext", "imaplib", "inspect", "mailbox", "multiprocessing", "optparse"),
        *("pickle", "plistlib", "sched", "select", "selectors", "signal", "smtplib", "socketserver"),
        *("unicodedata", "urllib", "uuid", "warnings", "weakref", "xml", "zipfile", "zlib", "zoneinfo", "PIL"),
        *("bs4", "dateutil", "lxml", "matplotlib", "more_itertools", "networkx", "numpy", "pandas", "pytz"),
        *("regex", "requests", "scipy", "seaborn", "sklearn", "sortedcontainers", "tqdm", "typing_extensions"),
    )
)
OF_MODULES = {  # modules of which only these names are admitted
    "sys": frozenset(
        (
            *("stdin", "stdout", "stderr", "argv", "exit", "maxsize", "maxunicode", "byteorder", "platform", "version"),
            *("version_info", "float_info", "int_info", "hash_info", "getsizeof", "getdefaultencoding", "executable"),
            *("getrecursionlimit", "setrecursionlimit", "set_int_max_str_digits", "intern", "exc_info"),
        )
    ),
    "inspect": frozenset(
        (
            *("signature", "Parameter", "isfunction", "ismethod", "isclass", "iscoroutine", "iscoroutinefunction"),
            *("isawaitable", "isgenerator", "isgeneratorfunction", "getdoc", "cleandoc"),
        )
    ),
    "pickle": frozenset({"dump", "dumps", "HIGHEST_PROTOCOL", "DEFAULT_PROTOCOL", "PickleError", "PicklingError"}),
    "timeit": frozenset({"default_timer"}),
    "traceback": frozenset({"print_exc", "format_exc", "format_exception", "print_exception", "format_exception_only"}),
    "types": frozenset({"SimpleNamespace", "MappingProxyType", "GeneratorType", "MethodType", "NoneType"}),
}
SUBMODULES = frozenset(
    (
        *("os.path", "xml.etree", "xml.etree.ElementTree", "xml.dom", "xml.dom.minidom", "urllib.parse"),
        *("urllib.request", "urllib.error", "concurrent.futures", "collections.abc", "email.mime", "http.client"),
        *("matplotlib.pyplot", "numpy.random", "numpy.linalg", "numpy.testing", "logging.handlers", "json.decoder"),
    )
)
BUILTINS = frozenset({"eval", "exec", "compile", "globals", "locals", "vars", "breakpoint"})  # `re.compile` is none
DENIED = frozenset(  # names and attributes that lead to the tests' frames and objects, or that run text
    (
        *("settrace", "setprofile", "gettrace", "getprofile", "settrace_all_threads", "setprofile_all_threads"),
        *("f_back", "f_locals", "f_globals", "f_code", "f_builtins", "gi_frame", "gi_code", "cr_frame", "cr_code"),
        *("cr_origin", "ag_frame", "ag_code", "tb_frame", "tb_next", "walk_stack", "walk_tb", "extract_stack"),
        *("extract_tb", "print_stack", "format_stack", "StackSummary", "FrameSummary", "get_stack", "get_coro"),
        *("all_tasks", "get_objects", "get_referrers", "get_referents", "get_type_hints", "ForwardRef", "get_field"),
        *("evaluate_forward_ref", "Formatter", "make_dataclass", "new_class", "FunctionType", "CodeType", "LambdaType"),
        *("as_strided", "ctypes", "ctypeslib", "unittest", "pytest", "linecache", "SkipTest", "enable_load_extension"),
        *("mro", "read_pickle", "to_pickle", "dictConfig", "fileConfig", "BaseConfigurator"),
        "ma",  # numpy's masked values equal all
    )
)
INNER = frozenset({"sys", "gc", "importlib", "inspect", "builtins", "types", "runpy", "pkgutil", "marshal", "pickle"})
ENUMS = frozenset({"Enum", "IntEnum", "StrEnum", "Flag", "IntFlag"})
METACLASSES = frozenset({"type", "ABCMeta", "EnumMeta", "EnumType", "NamedTupleMeta"})
MAKERS = (
    ENUMS | METACLASSES | {"attrgetter", "methodcaller"}
)  # they make classes, and readers of attributes, of any name
KEYWORDS = frozenset({"allow_pickle", "stack_info", "assigned", "updated", "namespace", "stacklevel", "eval_str"})
SPECIAL = frozenset(  # attributes with two underscores that may be read
    (
        *("init", "new", "name", "qualname", "doc", "class", "dict", "module", "main", "file", "all", "version", "eq"),
        *("ne", "lt", "le", "gt", "ge", "hash", "str", "repr", "len", "iter", "next", "getitem", "setitem", "delitem"),
        *("contains", "enter", "exit", "aenter", "aexit", "aiter", "anext", "await", "call", "add", "radd", "iadd"),
        *("sub", "rsub", "mul", "rmul", "truediv", "floordiv", "mod", "pow", "matmul", "and", "or", "xor", "neg"),
        *("abs", "bool", "int", "float", "index", "round", "cause", "context", "slots", "members", "post_init"),
        *("wrapped", "missing", "format", "reversed", "getattr", "set_name", "init_subclass", "copy", "deepcopy"),
    )
)
UNSAFE_METHODS = frozenset(
    (
        *("reduce", "reduce_ex", "getstate", "setstate", "instancecheck", "subclasscheck", "subclasshook", "class"),
        *(
            "dict",
            "mro",
            "bases",
            "name",
            "getattribute",
            "mro_entries",
            "prepare",
            "module",
            "annotations",
            "build_class",
            "code",
            "globals",
        ),
    )
)
MAIN = ("__name__ == '__main__'", "'__main__' == __name__")
STORED = frozenset({"__name__", "__qualname__", "__doc__", "__wrapped__"})
DUNDER = re.compile(r"__(\w+?)__")
IN_TEXT = re.compile(r"\b(?:f_back|f_locals|f_globals|f_code|gi_frame|cr_frame|ag_frame|tb_frame|_getframe)\b")
ANNOTATION = (
    ast.Name | ast.Attribute | ast.Subscript | ast.Constant | ast.BinOp | ast.Tuple | ast.List | ast.expr_context
)


def reaches_out(program: str) -> str | None:
    """Return what a program has that could reach tests in its process, such as "`eval`"; None if it has nothing."""
    try:
        tree = parsed(program)
        if tree is None:
            compile(program, "program.py", "exec", dont_inherit=True)  # as deep as it may be
        return None if tree is None else found_in(tree)
    except (SyntaxError, ValueError):
        return None  # it does not run at all
    except (RecursionError, MemoryError):
        return "its depth"


def found_in(tree: ast.Module) -> str | None:
    """Return the first finding."""
    inspection = Inspection()
    for statement in tree.body:  # what runs in a main module alone, as the program's own tests do, does not run here
        if isinstance(statement, ast.If) and ast.unparse(statement.test) in MAIN:
            statement.body = []
    for node in ast.walk(tree):  # a function may use what is imported below it
        if isinstance(node, ast.Import | ast.ImportFrom):
            inspection.visit(node)
    inspection.visit(tree)
    return inspection.found


@functools.cache
def is_module(path: str) -> bool:
    """Return whether the full name of an attribute is a module's."""
    root, *names = path.split(".")
    if path in SUBMODULES or root not in sys.stdlib_module_names or root not in MODULES or not names:
        return path in SUBMODULES
    found: Any = importlib.import_module(root)
    for name in names:
        found = getattr(found, name, None)
    return isinstance(found, ModuleType)


class Inspection(ast.NodeVisitor):
    """A search for the first thing that is not admitted."""

    def __init__(self) -> None:
        self.found: str | None = None
        self.modules: dict[str, str] = {}  # the names that imports bind to modules
        self.scopes: list[set[str]] = []  # the names that the functions around a node bind
        self.approved: set[int] = set()  # nodes that are harmless where they stand
        self.metaclasses = set(METACLASSES)  # and the program's own
        self.starred = False  # `import *` may bind a library's own imports
        self.iterating = False  # within `__next__`, which may raise StopIteration

    def refuse(self, found: str) -> None:
        """Note the first finding."""
        self.found = self.found or f"`{found}`"

    def visit_Import(self, node: ast.Import) -> None:
        """Admit known modules."""
        for alias in node.names:
            self.check_module(alias.name)
            self.modules[alias.asname or alias.name.partition(".")[0]] = (
                alias.name if alias.asname else alias.name.partition(".")[0]
            )

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        """Admit public names of known modules."""
        module = node.module or ""
        self.check_module(module if not node.level else ".")
        for alias in node.names:
            self.check_name(alias.name)
            self.starred |= alias.name == "*"
            if alias.name.startswith("_") or alias.name in INNER:
                self.refuse(alias.name)
            if alias.name not in OF_MODULES.get(module, {alias.name}):
                self.refuse(f"{module}.{alias.name}")
            if is_module(f"{module}.{alias.name}"):
                self.modules[alias.asname or alias.name] = f"{module}.{alias.name}"
            if alias.name in MAKERS and alias.asname:
                self.refuse(alias.name)

    def check_module(self, name: str) -> None:
        """Refuse a module that is not known."""
        if name.partition(".")[0] not in MODULES or DENIED.intersection(name.split(".")):
            self.refuse(f"import {name}")

    def check_name(self, name: str) -> None:
        """Refuse a name that leads out."""
        special = DUNDER.fullmatch(name)
        if name in DENIED or name in BUILTINS or (special and special[1] not in SPECIAL):
            self.refuse(name)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        """Look at a function's body with its own names."""
        self.check_defined(node.name)
        named = {each.arg for each in parameters(node.args)}
        local = {name for each in node.body for name in local_names(each)}
        declared = {name for each in ast.walk(node) if isinstance(each, ast.Global) for name in each.names}
        imported = {
            (alias.asname or alias.name).partition(".")[0]
            for each in ast.walk(node)
            if isinstance(each, ast.Import | ast.ImportFrom)
            for alias in each.names
        }
        around, self.iterating = self.iterating, node.name in ("__next__", "__anext__")
        self.look_within(node, (named | local) - declared - imported, (*node.body, *parameters(node.args)))
        self.iterating = around

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_Lambda(self, node: ast.Lambda) -> None:
        """Look at a lambda with its own names."""
        named = {each.arg for each in parameters(node.args)}
        self.look_within(node, named, (node.body,))

    def visit_ListComp(self, node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp) -> None:
        """Look at a comprehension with its own names; what it first goes through is around them."""
        self.visit(first := node.generators[0].iter)
        self.scopes.append({name for each in node.generators for name in bound_by(each.target)})
        for each in ast.iter_child_nodes(node):
            for part in ast.iter_child_nodes(each) if isinstance(each, ast.comprehension) else (each,):
                if part is not first:
                    self.visit(part)
        self.scopes.pop()

    visit_SetComp = visit_DictComp = visit_GeneratorExp = visit_ListComp

    def look_within(self, node: ast.AST, local: set[str], inner: Sequence[ast.AST]) -> None:
        """Visit the children of a node that binds names: defaults and decorators around it, the inner ones within."""
        within = set(map(id, inner))
        for child in ast.iter_child_nodes(node):
            for each in ast.iter_child_nodes(child) if isinstance(child, ast.arguments) else (child,):
                if id(each) not in within:
                    self.visit(each)
        self.scopes.append(local)
        for each in inner:
            self.visit(each)
        self.scopes.pop()

    def check_defined(self, name: str) -> None:
        """Refuse the special methods that others act upon."""
        special = DUNDER.fullmatch(name)
        unsafe = special is not None and (special[1] in UNSAFE_METHODS or name.startswith("__array"))
        if unsafe or name in ("__name__", "getattr", "setattr", "delattr"):
            self.refuse(name)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        """Admit a metaclass as such."""
        self.check_defined(node.name)
        metaclasses = [keyword.value for keyword in node.keywords if keyword.arg == "metaclass"]
        self.approved |= {id(base) for base in (*node.bases, *metaclasses)}
        if any(last_name(base) in self.metaclasses for base in node.bases):
            self.metaclasses.add(node.name)
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        """Admit calls that are harmless with these arguments."""
        name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
        literal = name in MAKERS - METACLASSES and all(map(is_public, node.args))
        if literal or name == "__new__" or (name == "type" and len(node.args) == 1 and not node.keywords):
            self.approved.add(id(node.func))
        elif name in ("isinstance", "issubclass"):
            self.approved |= {id(each) for kinds in node.args[1:] for each in getattr(kinds, "elts", [kinds])}
        elif (name == "update_wrapper" and len(node.args) > 2) or (name == "wraps" and len(node.args) > 1):
            self.refuse(name)
        for keyword in node.keywords:
            if keyword.arg in KEYWORDS:
                self.refuse(f"{keyword.arg}=")
        self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> None:
        """Refuse names that lead out, and modules as values."""
        if any(node.id in scope for scope in self.scopes):
            return
        if node.id in BUILTINS or node.id.startswith("__"):
            self.check_name(node.id)
        if self.starred and node.id in INNER and node.id not in self.modules:
            self.refuse(node.id)
        if isinstance(node.ctx, ast.Store | ast.Del):
            self.check_defined(node.id)
        elif id(node) not in self.approved and node.id in MAKERS | self.metaclasses | self.modules.keys():
            self.refuse(node.id)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        """Refuse attributes that lead out."""
        if node.attr not in BUILTINS - {"eval", "exec"}:
            self.check_name(node.attr)
        if isinstance(node.ctx, ast.Store | ast.Del) and node.attr.startswith("__") and node.attr not in STORED:
            self.refuse(node.attr)
        if node.attr.lstrip("_") in INNER:  # a module that a library has imported
            self.refuse(node.attr)
        path = self.path_of(node)
        module, _, name = path.rpartition(".")
        if name not in OF_MODULES.get(module, {name}):
            self.refuse(path)
        if id(node) not in self.approved and (
            node.attr in MAKERS - {"type"}
            or node.attr == "__new__"
            or (is_module(path) and isinstance(node.ctx, ast.Load))
        ):
            self.refuse(node.attr)
        if isinstance(node.value, ast.Name | ast.Attribute) and last_name(node.value) not in self.metaclasses:
            self.approved.add(id(node.value))
        self.visit(node.value)

    def path_of(self, node: ast.expr) -> str:
        """Return the full name of an attribute of a module; "" for any other expression."""
        if isinstance(node, ast.Name):
            hidden = any(node.id in scope for scope in self.scopes)
            return "" if hidden else self.modules.get(node.id, "")
        if not isinstance(node, ast.Attribute):
            return ""
        base = self.path_of(node.value)
        return f"{base}.{node.attr}" if base else ""

    def visit_Constant(self, node: ast.Constant) -> None:
        """Refuse text that names what must not be named."""
        text = node.value if isinstance(node.value, str) else ""
        if IN_TEXT.search(text) or set(DUNDER.findall(text)) - SPECIAL:
            self.refuse(text[:40])

    def visit_Raise(self, node: ast.Raise) -> None:
        """Refuse an exception that ends a loop of the tests."""
        named = {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}
        if named & {"StopIteration", "StopAsyncIteration"} and not self.iterating:
            self.refuse("raise StopIteration")
        self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> None:
        """Look at a parameter's annotation."""
        self.check_annotation(node.annotation)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        """Look at a variable's annotation."""
        self.check_annotation(node.annotation)
        self.generic_visit(node)

    def check_annotation(self, node: ast.expr | None) -> None:
        """Refuse an annotation that computes its text, since libraries evaluate it."""
        if node is not None:
            plain = all(isinstance(each, ANNOTATION | ast.BitOr) for each in ast.walk(node))
            if not plain:
                self.refuse("an annotation that is computed")
            self.approved |= {id(each) for each in ast.walk(node)}
            self.visit(node)


def last_name(node: ast.expr) -> str:
    """Return the name of a variable or an attribute; "" for any other expression."""
    return str(getattr(node, "id", getattr(node, "attr", "")))


def parameters(arguments: ast.arguments) -> list[ast.arg]:
    """Return the parameters of a function."""
    return [each for each in ast.walk(arguments) if isinstance(each, ast.arg)]


def local_names(node: ast.AST) -> set[str]:
    """Return the names that a statement binds in its function; those of comprehensions are their own."""
    if isinstance(node, ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
        return set()
    if isinstance(node, ast.Name | ast.Import | ast.ImportFrom | ast.Lambda | DEFINITIONS):
        return bound_by(node)
    return {name for child in ast.iter_child_nodes(node) for name in local_names(child)}


def is_public(node: ast.expr) -> bool:
    """Return whether a node is the literal name of a public attribute, or any other literal."""
    if isinstance(node, ast.List | ast.Tuple):
        return all(map(is_public, node.elts))
    if not isinstance(node, ast.Constant):
        return False
    names = re.split(r"[.,\s]+", node.value) if isinstance(node.value, str) else []
    return not any(name.startswith("_") or name in DENIED for name in names)
