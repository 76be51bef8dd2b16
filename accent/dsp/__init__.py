"""Compiled numerics that know no feature: transforms, filters, statistics, polynomial roots."""
