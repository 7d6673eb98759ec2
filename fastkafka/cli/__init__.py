"""Command lines: `fastkafka-bench`. They need the extra [cli] (click, rich)."""
