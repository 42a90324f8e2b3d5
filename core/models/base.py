"""The declarative base, and the column shapes that every table shares."""

from datetime import datetime
from typing import Annotated, ClassVar

from sqlalchemy import BigInteger, DateTime, ForeignKey, Identity, MetaData, Text, func
from sqlalchemy.orm import DeclarativeBase, mapped_column

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    """Every table of the product. Rows are read and written with Core statements on one connection."""

    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map: ClassVar = {str: Text(), int: BigInteger(), datetime: DateTime(timezone=True)}


PrimaryKey = Annotated[int, mapped_column(BigInteger, Identity(), primary_key=True)]
TenantId = Annotated[int, mapped_column(BigInteger, ForeignKey("tenants.id"))]
CreatedAt = Annotated[datetime, mapped_column(DateTime(timezone=True), server_default=func.now())]
Currency = Annotated[str, mapped_column(Text, server_default="usd")]


def one_of(column: str, values: type) -> str:
    """Return the SQL of a CHECK that `column` holds one of an enum's values.

    Status columns are text with a CHECK, not a database enum: adding a value is a cheap migration, and a
    downgrade is clean.
    """
    allowed = ", ".join(f"'{member.value}'" for member in values)  # type: ignore[attr-defined]
    return f"{column} in ({allowed})"
