"""What a candidate's page says of its baseline: the verdict, what changed case by case, and how all of it moved."""
