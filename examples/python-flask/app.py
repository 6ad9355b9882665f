from flask import Flask, jsonify, request

app = Flask(__name__)
notes = []


@app.get("/")
def index():
    return "Notes: GET and POST /notes\n", {"content-type": "text/plain"}


@app.get("/notes")
def list_notes():
    return jsonify(notes)


@app.post("/notes")
def add_note():
    notes.append(request.get_json()["text"])
    return jsonify(count=len(notes)), 201
