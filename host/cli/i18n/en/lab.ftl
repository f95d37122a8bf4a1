# The lab: suites, fuzzing, reports.
help-lab = Suites of test cases, fuzzing and reports, on simulated cards and in readers
help-lab-run = Runs suites against one card or several and leaves a folder of evidence
help-lab-fuzz = Sends well-formed nonsense to card manager, applet and access rules, and reports what breaks
help-lab-suites = Lists the suites that travel with the program
arg-lab-run-suites = Suites by name or file, see "jpkise lab suites" (default: all that end by themselves)
arg-lab-run-only = Only cases whose SUITE/CASE begins so (repeatable)
arg-lab-out = Folder for report.html, report.json, junit.xml, traces and manifest (default: lab-out)
arg-lab-seed = Seed of everything random; the same seed repeats a run (default: chosen and shown)
arg-lab-seconds = How long fuzzing and soak test go on (default: 10)
arg-lab-destructive = Allow cases that change the card in the reader, if it is the one of this identity
arg-lab-for-good = With --destructive: also what nobody can take back (locked keys, terminated card)
arg-lab-timeout = Seconds that a card has for one answer (default: 60)
lab-start = Suites { $suites } on { $targets }; seed { $seed }
lab-suite = { $name } { $cases } cases: { $title }
lab-stopping = Stopping; the report of what was done is written
lab-stopped = stopped before the end; the report holds what was done
lab-written = Report: { $path }
lab-bad = { $count ->
    [one] one case did not come out as it must
   *[other] { $count } cases did not come out as they must
}
lab-not-opened = { $name } could not be opened: { $error }
lab-held-back = { $name }: { $count } cases that change the card were not run. If this card may be changed: --destructive { $card }
lab-err-one-reader = only the lab takes several readers
lab-err-twice = { $name } is named twice
lab-err-file = { $path } cannot be read
lab-err-suite = there is no suite { $name }, nor a file of that name
lab-rec-suite = Suites: { $names }; or the name of a .toml file
lab-err-schema = { $path }: { $count ->
    [one] one mistake
   *[other] { $count } mistakes
}
lab-rec-schema = The format is described in docs/lab.md.
lab-rec-out = Choose another folder with --out.
lab-verdict-passed = passed
lab-verdict-failed = failed
lab-verdict-broken = broken
lab-verdict-skipped = skipped
lab-skip-needs = needs { $detail }
lab-skip-changes = would change the card
lab-skip-for-good = would change the card for good
lab-skip-state = state out of reach: { $detail }
lab-skip-stopped = stopped before it
lab-skip-card-gone = the card was gone
lab-kind-simulated = simulated in this program
lab-kind-reader = in a reader
lab-axis-count = count
lab-axis-percentile = percent of all
lab-report-title = Lab report
lab-report-good = Everything came out as it must.
lab-report-bad = Not everything came out as it must.
lab-report-stopped = The run was stopped; what follows is what was done until then.
lab-report-seed = seed
lab-report-summary = Summary
lab-report-suite = suite
lab-report-total = total
lab-report-target = target
lab-report-targets = Targets
lab-report-not-opened = Could not be opened:
lab-report-traffic = traffic
lab-report-figures = Figures
lab-report-mean = mean
lab-report-median = median
lab-report-unit = unit
lab-report-case = case
lab-report-step = Step { $number }:
lab-report-place = where
lab-report-expected = due
lab-report-found = came
lab-report-apdus = { $count } exchanges
lab-report-secured = secured, before
lab-report-no-answer = no answer
lab-report-left-out = { $count } more in the trace
lab-report-environment = Environment
