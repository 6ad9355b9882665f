'use strict';

const express = require('express');

const app = express();
app.use(express.json());

app.get('/', (req, res) => res.json({ hello: req.query.name || 'World' }));
app.post('/sum', (req, res) => res.json({ sum: req.body.numbers.reduce((a, b) => a + b, 0) }));

// As anywhere else; under Mayfly the server is found and never listens.
app.listen(process.env.PORT || 3000);
