"""Batches: many calls in one submission, answered within a day, at a price of their own (docs/adr/0016).

In the order of a batch's life: `endpoints` says what its lines may call, `submission` weighs them, `answers` says what a
client's answers tell of it, `collector` finds out when it has ended, `results` reads what the provider says, `chain` charges
it line by line. `standing` is what the database knows.
"""
