"""Speech emotion recognition without a screen: usable from the pages, a shell (`python -m ser_core`) or a notebook.

Rooms, from the ground up; a room imports those above it in this list only (tests/test_layers.py holds the list):

    errors         SerError and its few kinds
    paths          every folder, and the environment variable that names another place
    settings       a setting as a row of a form, and its check
    system         knows nothing of speech
                     files, locks, spool: files that processes share, one at a time, or without a name
                     untrusted_json, untrusted_csv, untrusted_text: what others wrote, within limits and fit to show
                     workers, pool, cluster: worker processes, maps over many items, Dask
                     imports: what a library need not load
                     units, templates: sizes and durations in words, HTML with every value escaped
                     priority, process_tree: niceness and threads of each kind of process; ending one with all it started
    metrics        probabilities -> figures: evaluation, curves, calibration, pooling, abstention
    audio          bytes -> Waveform -> Waveform: formats, sources, headers, channels, decoding; waveform, recording,
                     augment, degradations, codecs, warm_up
    classifiers    arrays -> probabilities: knn, mlp, cnn, cnn_lstm and six more
    features       Waveform -> numbers: config, extraction, pitch, filterbanks, spectral, functionals, encoder, vectors; quality,
                     voice_activity, speech_rate
    corpora        folders -> clips table: catalogue (facts), speakers, tables, twins, scan, votes; library, download,
                     install, doctor, recorded, uploads
    dataset        clips table -> arrays: labels, duplicates, published, splits, protocols, build, cache, voices, degraded;
                     exploration, clip_map, export
    recognition    a trained model and its predictions: recognizer, card, store, bundle, sandbox, report, svg;
                     analysis (a clip), timeline (long audio), live (a stream), batch (a folder), service (what workers run),
                     together (one answer of all models), personal (models adapted to one speaker)
    explanation    why a model answers as it does: occlusion (where it looks), measures (what it goes by), neighbours (of KNN);
                     what_if (the same clip elsewhere, or spoken otherwise), profile (a voice among the training corpora's);
                     service (what workers run), figures, report
    training       settings -> saved model: config, plan, balance, fit, search, run, card, shipped; contamination;
                     held_out (what was answered to each clip), together (a pool's weights from it), personal (what takes are worth);
                     run_folder, jobs, supervisor, stopping: a run as a separate process
    experiments    models measured: recipe, outcome, workspace, measure; benchmark, cross_corpus, robustness,
                     leakage_lab, comparison, listeners, deletion, answers (the clips behind a matrix); runs: a measurement as a run;
                     results/ holds what is precomputed
    serving        a way in, the app as a process: server, preflight, certificates, install_page, lesson, guard, admin, permissions
    cli            a way in, `python -m ser_core`: main, options, and one file per command

Importing the package loads neither tensorflow, keras, numba nor streamlit.
"""

import os

# Unless disabled, ONNX Runtime sends telemetry about each session, and keeps an id of the machine in the home folder.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
