"""How many points is a submission worth? Only what cannot depend on luck is judged.

``reading`` takes the grading file, ``submission`` puts the submission in its place, ``judging``
looks at one item in processes of their own (``warden``), ``points`` counts, ``gradescope`` and
``text`` tell it.
"""
