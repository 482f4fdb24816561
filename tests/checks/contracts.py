"""A contract for import-linter: a package imports these libraries alone (and the standard one)."""

from __future__ import annotations

import sys

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output
from importlinter.domain.imports import Module


class Only(Contract):
    """The modules of ``package`` import nothing but each other, ``may_import`` and what Python has.

    import-linter's own contract names what is forbidden; a library that is new would pass it.
    """

    type_name = "only"

    package = fields.ModuleField()
    may_import = fields.ListField(subfield=fields.ModuleField())

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        """Whether it holds; the imports that break it are kept for :meth:`render_broken_contract`."""
        package: Module = self.package  # type: ignore[assignment]
        may_import: list[Module] = self.may_import  # type: ignore[assignment]
        allowed = {package.name, *(module.name for module in may_import), *sys.stdlib_module_names}
        others = [
            f"{importer} imports {imported}"
            for importer in sorted({package.name} | graph.find_descendants(package.name))
            for imported in sorted(graph.find_modules_directly_imported_by(importer))
            if not any(imported == name or imported.startswith(f"{name}.") for name in allowed)
        ]
        return ContractCheck(kept=not others, metadata={"others": others})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Name each import that is not allowed."""
        for line in check.metadata["others"]:
            output.print_error(f"- {line}")
