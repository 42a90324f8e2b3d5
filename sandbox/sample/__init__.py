"""A made-up club to try things with."""

from pathlib import Path

CLUB = "River City FC"
ROSTER = Path(__file__).parent / "roster.csv"
COACH, ADMIN, TREASURER, OUTSIDER = "U0COACH", "U0ADMIN", "U0TREAS", "U0OUTSIDE"
PAYMENTS, APPROVALS, GENERAL = "C0PAYMENTS", "C0APPROVALS", "C0GENERAL"
