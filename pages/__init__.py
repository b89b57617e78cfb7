"""The pages beside app.py; Streamlit takes each file here for one, and pages/ui/ for none."""
