@echo off
rem Makes .venv, installs, warms up and serves the app on http://localhost:8501. Does on Windows what "make run" does elsewhere;
rem "run.bat class" does what "make class" does.
setlocal
cd /d "%~dp0"
if not defined PORT set PORT=8501
set OPENBLAS_NUM_THREADS=1
set OMP_NUM_THREADS=1
set PY=.venv\Scripts\python.exe

rem installed.txt is written last: without it, .venv was interrupted half-way and is rebuilt.
if exist .venv\installed.txt if exist %PY% goto check
if exist .venv rmdir /s /q .venv
set FOUND=
for %%V in (3.11 3.12 3.13) do if not defined FOUND (
    py -%%V -c "import venv" >nul 2>nul && set "FOUND=py -%%V"
)
if not defined FOUND (
    python -c "import sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))" >nul 2>nul && set "FOUND=python"
)
if not defined FOUND (
    echo Found no usable Python. The app needs Python 3.11, 3.12 or 3.13 for 64-bit Windows. Install one, then start run.bat again.
    exit /b 1
)
echo Making .venv ...
%FOUND% -m venv .venv
if errorlevel 1 exit /b 1
goto install

:check
fc /b requirements.lock .venv\installed.txt >nul
if not errorlevel 1 goto serve

:install
if exist .venv\installed.txt del .venv\installed.txt
echo Installing the libraries (3 GB on disk; some minutes the first time) ...
%PY% -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
if errorlevel 1 (
    echo Installing failed: the lines above say why. Start run.bat again to go on.
    exit /b 1
)
echo Warming up ...
%PY% -m ser_core.audio.warm_up
if errorlevel 1 exit /b 1
copy /b requirements.lock .venv\installed.txt >nul

:serve
if "%1"=="class" (
    %PY% -m ser_core serve --class --port %PORT%
    exit /b
)
%PY% -m streamlit run app.py --server.port %PORT%
