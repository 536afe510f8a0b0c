"""A run or a comparison as one HTML page: sentences first, then pictures, then records.

``run_page`` and ``comparison_page`` write it. Each picture's data are a plain dict (its ``kind``
says how ``assets/`` draws it), made by one module: ``stock``, ``activity``, ``depth``, ``around``.
Times in them are ns since the gate.
"""
