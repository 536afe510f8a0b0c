"""How fast is the lab, beside C and bare Python doing the same work on the same machine?"""
