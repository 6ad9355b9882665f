'use strict';

// Whole micro-dollars to text, without floating point.
function money(micros) {
  const whole = Math.trunc(micros / 1000000);
  const rest = String(Math.abs(micros % 1000000)).padStart(6, '0').replace(/0{1,4}$/, '');
  return `$${whole.toLocaleString('en')}.${rest}`;
}

function element(name, text, className) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

function adRow(ad) {
  const row = element('tr');
  const cell = element('td');
  const link = element('a', ad.ad);
  link.href = `/click/${encodeURIComponent(ad.ad)}`;
  cell.append(link);
  row.append(cell, element('td', money(ad.price), 'number'), element('td', ad.clicks.toLocaleString('en'), 'number'),
    element('td', money(ad.price * ad.clicks), 'number'));
  return row;
}

function card(advertiser) {
  const section = element('section');
  const title = element('h2', advertiser.name);
  if (advertiser.exhausted) title.append(element('span', 'budget exhausted', 'exhausted'));
  const total = advertiser.spent + advertiser.left;
  const bar = element('div', undefined, 'bar');
  const fill = element('div');
  fill.style.width = total > 0 ? `${(100 * advertiser.spent) / total}%` : '0';
  bar.append(fill);
  const table = element('table');
  const head = element('tr');
  for (const [text, kind] of [['Ad', ''], ['Price', 'number'], ['Clicks', 'number'], ['Charged', 'number']]) {
    head.append(element('th', text, kind));
  }
  table.append(head, ...advertiser.ads.map(adRow));
  section.append(title, element('p', `${money(advertiser.spent)} spent, ${money(advertiser.left)} left`), bar, table);
  return section;
}

async function refresh() {
  const state = document.getElementById('state');
  try {
    const answer = await fetch('/adclick/stats.json');
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    const { advertisers } = await answer.json();
    document.getElementById('advertisers').replaceChildren(...advertisers.map(card));
    state.textContent = `As of ${new Date().toLocaleTimeString()}.`;
  } catch (problem) {
    state.textContent = `No numbers now: ${problem.message}.`;
  }
  setTimeout(refresh, 2000);
}

refresh();
