fetch('/articles')
  .then((answer) => answer.json())
  .then(({ articles, currency }) => {
    for (const { name, price } of articles) {
      const item = document.createElement('li');
      item.textContent = `${name}: ${price} ${currency}`;
      document.getElementById('articles').append(item);
    }
  });
