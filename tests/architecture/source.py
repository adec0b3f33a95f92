"""Read the package's source as a table of modules, and the imports out of each."""

import ast
from pathlib import Path
from typing import NamedTuple

import tensorweaver

__all__ = ["PACKAGE", "ROOT", "Import", "imports", "module_name", "package_sources"]

# The package under test, wherever it is installed, and the project around the tests.
PACKAGE = Path(tensorweaver.__file__).parent
ROOT = Path(__file__).parents[2]


class Import(NamedTuple):
    """An import of the package by itself: `target` is a module, or the root for its names."""

    target: str
    line: int


def module_name(path):
    """`tensorweaver/backends/__init__.py` is `tensorweaver.backends`."""
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def package_sources():
    """Module name to source text, for the whole package."""
    paths = sorted(PACKAGE.rglob("*.py"))
    return {module_name(path): path.read_text(encoding="utf-8") for path in paths}


def imports(module, source, modules):
    """Every import of the package by a module, also in functions or by `import_module("name")`."""
    is_package = any(name.startswith(module + ".") for name in modules)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = absolute(node, module, is_package=is_package)
            inner = [f"{base}.{alias.name}" for alias in node.names]
            targets = [name if name in modules else base for name in inner]
        elif isinstance(node, ast.Call):
            targets = [dynamic_target(node)]
        else:
            continue
        for target in dict.fromkeys(targets):
            if target.partition(".")[0] == "tensorweaver":
                yield Import(target, node.lineno)


def absolute(node, module, *, is_package):
    """The module that `from ... import` names, relative dots resolved."""
    if not node.level:
        return node.module
    parts = module.split(".")
    kept = parts[: len(parts) - node.level + is_package]
    return ".".join([*kept, node.module] if node.module else kept)


def dynamic_target(call):
    """The literal given to `import_module` or `__import__`, else nothing."""
    name = getattr(call.func, "attr", None) or getattr(call.func, "id", "")
    if name in {"import_module", "__import__"} and call.args:
        literal = call.args[0]
        if isinstance(literal, ast.Constant) and isinstance(literal.value, str):
            return literal.value
    return ""
