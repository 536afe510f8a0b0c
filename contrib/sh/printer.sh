#!/bin/sh
# The filter of docs/spooling.md: it prints what it reads, and ends as it is told.
#
#   printer.sh [NUMBER=STATUS …] job-id user title copies options
#
# The first attempt at the NUMBER-th job of a submitter ends with STATUS before a page is printed.
rules=
while [ $# -gt 5 ]; do
    rules="$rules $1"
    shift
done
number=${3#job }
number=${number%% *}
for rule in $rules; do
    case "$rule $5 " in
        "$number="*" attempt=1 "*) exit "${rule#*=}" ;;
    esac
done
exec cat
