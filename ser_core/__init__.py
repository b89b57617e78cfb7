"""Speech emotion recognition without a screen: usable from the pages, a shell (`python -m ser_core`) or a notebook.

Rows import downwards only (tests/test_layers.py guards it):

    untrusted_text  what others wrote -> one line of visible characters; sentences without this machine's paths
    errors        SerError and its few kinds
    curves        ROC, reliability, and how sure a model is when right and when wrong
    plain_json    JSON of a stranger's -> values, or a ValueError
    csv_tables    CSV of a stranger's -> a table of text, within limits; rows -> CSV without formulas
    spool         bytes that are too many to hold, in a file without a name
    guard         which requests the app's server answers: hosts, origins, headers
    install_page  a page over plain http that gives phones the class's certificate
    admin         the admin word: which one counts, and how often anybody may try one
    audio         bytes -> Waveform: decode, resample, encode
    setting       a setting as a row of a form, and its check
    runs          the folder of a training run: settings, status, epochs, log, result, the wish to stop
    cluster       a Dask cluster, in place of this machine's processes
    corpora       the corpora's facts and labels; folder -> table of clips
    locks         one process or thread at a time, by a lock on a file
    library       the corpora folder of this machine: what is installed, what was left out
    mapping       what the labels of several corpora become together
    certainty     the threshold below which a model says "not sure"
    evaluation    probabilities -> accuracy, UAR, F1, confusion
    spectral      spectra -> slopes, balances, harmonics: measures of voice quality
    filterbanks   which bins of a spectrum belong to a mel band or a pitch class
    functionals   tracks -> statistics over a clip, and its rhythm
    svg           small figures as text, for print
    features      Waveform -> log-mel, MFCC, chroma, f0 ...: frames, windows and a summary vector
    augment       Waveform -> Waveform: noise, pitch, stretch, gain, room; the table of effects
    lossy         a waveform through MP3 or Opus and back
    splits        who is in train, validation and test
    balance       what is done where some labels are rare: weights, upsampling, SMOTE, ADASYN
    classifiers   arrays -> probabilities: knn, mlp, cnn, cnn_lstm and five more
    warm_up       compiles librosa's functions once, during set-up
    quality       is the recording good enough, and what to do about it
    download      getting a corpus whole, from its source or from an archive that somebody has
    certificates  the authority of a class, kept, and what it signs
    syllables     how fast somebody speaks
    supervisor    the process beside a run: its turn, its end
    jobs          runs as processes: start, find, stop, who may
    protocols     which trainings an evaluation takes, by protocol, and what each holds out
    conditions    what may become of a clean recording: noise, babble, rooms, lines, codecs, another voice; the table of them
    run_config    the settings of a training run, and presets
    dataset       clips -> arrays and facts, with a cache
    recognizer    features + classifier + labels -> Prediction
    sandbox       a stranger's model in a process of its own, within limits
    store         the files under models/
    result_card   a model's card as a page to print
    bundles       a model as one file, out and in
    doctor        what is wrong with a corpus, and what that does to a score
    own           corpora that people record here, clip by clip
    analysis      one clip from bytes to predictions, for the pages, the command line and the benchmarks
    exploration   what clips sound like: facts, trends by label
    plans         what settings mean for certain clips, before anything is computed; why they cannot work
    background    how a training process behaves: niced, and ended within two seconds of being told
    beside        a process beside a server of pages, for what would hold its pages up: hearing clips, asking models
    classroom     what a class needs of this machine: port, address, disk, corpora, models
    segments      long audio moment by moment: windows, speech activity
    live          sound that arrives while somebody speaks: windows as they fill
    uploads       recordings handed over as files or zips, with their true labels
    batch         many files, on all cores
    training      clips + settings -> Recognizer, cross-validation
    search        many trainings: cross-validation and grid search
    cards         what is written down with a model that somebody trained
    pipeline      a run from its settings to a saved model
    clip_map      clips in two dimensions, those that sound alike side by side
    export        the features of a selection of clips as CSV or Parquet
    exposure      what of a test was in training, by split or by a model's card
    assessment    recipes and trained models measured on corpora, by protocol
    comparison    outcomes against each other: differences, slices, disagreements
    lab           what each leak between training and test does to a score
    matrix        a recipe trained on each corpus and tested on each
    protocol_table  the models over corpora and protocols
    robustness    what trained models lose under conditions
    lesson        what was here when a lesson began, so that its end takes away what it made
    permissions   what a server writes, kept to the user that runs it
    serving       the app as a process, for this machine or for a class
    shipped       how the four shipped models are made
    cli           python -m ser_core; its commands train, models, evaluate, table, robustness, matrix, lab and serve are in modules cli_…

Importing the package loads neither tensorflow, keras, numba nor streamlit.
"""

import os

# From its import on, ONNX Runtime tells its maker about each session, and keeps an id of the machine in the home folder.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
